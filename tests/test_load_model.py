"""What `load_model` does alike in all four tasks."""

import dataclasses
import importlib

import keras
import pytest

from common import runs
from common.errors import UserError

OPTIONS = {
    "kws": {"words": ("one", "two")},
    "counting": {},
    "separation": {"sample_rate": 8000, "num_channels": 1},
    "generation": {},
}


@pytest.fixture(params=OPTIONS)
def run(request, tmp_path):
    """A run of a task's tiny variant as it is after its first epoch."""
    configs, models = (importlib.import_module(f"{request.param}.{name}") for name in ("config", "models"))
    config = dataclasses.replace(configs.VARIANTS["tiny"], **OPTIONS[request.param])
    started = runs.start(tmp_path / "run", config, request.param, "tiny")
    models.build_model(config).save(started.model_path)
    return models, started.folder


@pytest.fixture
def mixed():
    """A process that trains in mixed precision."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def layers_of(model):
    return [layer for layer in model._flatten_layers() if layer.weights and not isinstance(layer, keras.Model)]


def test_a_model_is_loaded_in_float32_and_the_policy_stays_as_it_was(run, mixed):
    models, folder = run
    _, model = models.load_model(folder)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert layers_of(model) and all(layer.compute_dtype == "float32" for layer in layers_of(model))


def test_the_policy_stays_as_it_was_where_a_run_cannot_be_loaded(run, mixed):
    models, folder = run
    (folder / "model.keras").unlink()
    with pytest.raises(UserError, match="has not completed an epoch"):
        models.load_model(folder)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"

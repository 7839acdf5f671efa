"""Loading a run never executes what somebody put into it."""

import dataclasses
import io
import json
import os
import zipfile

import keras
import numpy as np
import pytest

from common import config as configs
from common import runs
from common.errors import UserError
from kws import models
from kws.config import TASK, VARIANTS

CONFIG = dataclasses.replace(VARIANTS["tiny"], words=("yes", "no"))


@pytest.fixture
def run_dir(tmp_path):
    """A run of an untrained network, as training leaves it."""
    folder = tmp_path / "run"
    configs.save(CONFIG, TASK, "tiny", folder / "config.json")
    models.build_model(CONFIG).save(folder / "model.keras")
    return folder


@pytest.fixture
def canary(tmp_path):
    """A folder that is made only if something is executed."""
    return tmp_path / "canary"


class Evil:
    """Unpickled, it makes the canary."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def replace(path, changes):
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**contents, **changes}.items():
            archive.writestr(name, content)


def lambda_config(tmp_path, canary):
    """Return the `config.json` of a model whose Lambda layer makes the canary, and prove that it would."""
    code = f"__import__('os').makedirs({str(canary)!r}, exist_ok=True)"
    evil = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(eval(f"lambda x: ({code}, x)[1]"), (4,))])
    evil.save(tmp_path / "evil.keras")
    if canary.exists():
        canary.rmdir()
    keras.saving.load_model(tmp_path / "evil.keras", safe_mode=False)(np.zeros((1, 4)))
    assert canary.exists()
    canary.rmdir()
    with zipfile.ZipFile(tmp_path / "evil.keras") as archive:
        return archive.read("config.json")


def test_code_in_a_model_file_is_not_even_looked_at(run_dir, tmp_path, canary):
    before = models.load_model(run_dir)[1].get_weights()
    custom = {"class_name": "Popen", "module": "subprocess", "config": {"args": ["mkdir", str(canary)]}}
    for config in (lambda_config(tmp_path, canary), json.dumps(custom).encode()):
        replace(run_dir / "model.keras", {"config.json": config, "../../evil": b"evil"})
        after = models.load_model(run_dir)[1].get_weights()
        for old, new in zip(before, after, strict=True):
            np.testing.assert_array_equal(old, new)
    assert not canary.exists() and not (tmp_path / "evil").exists()


def test_a_pickle_in_a_backup_is_refused(run_dir, canary):
    state = run_dir / "backup" / "state.npz"
    state.parent.mkdir()
    model = models.build_model(CONFIG)
    model.compile("adam", "categorical_crossentropy")
    runs.save_state(runs.Run(run_dir, CONFIG, [{"epoch": 1, "loss": 0.5}], 0.5), model)
    pickled = io.BytesIO()
    np.save(pickled, np.array([Evil(canary)], object), allow_pickle=True)
    for name in ("variable_00000.npy", "progress.npy"):
        replace(state, {name: pickled.getvalue()})
        with pytest.raises(UserError, match=r"cannot read the backup .*Python objects.*resume=False\) starts over"):
            runs.restore_state(runs.start(run_dir, CONFIG, TASK, "tiny"), model)
    assert not canary.exists()


@pytest.mark.parametrize("change", [{"words": []}, {"words": ["a", "b", "c"]}, {"model": "bc_resnet"}])
def test_a_configuration_that_no_network_can_be_built_from_is_told(run_dir, change):
    path = run_dir / "config.json"
    saved = json.loads(path.read_text())
    saved["config"].update(change)
    path.write_text(json.dumps(saved))
    with pytest.raises(UserError, match="cannot (rebuild the network of|load) .*train again"):
        models.load_model(run_dir)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\0", '"\\ud800"', "9" * 5000])
def test_a_configuration_that_is_none_is_told(run_dir, text):
    (run_dir / "config.json").write_text(text)
    with pytest.raises(UserError) as caught:
        models.load_model(run_dir)
    assert caught.value.command_line.isprintable() and len(caught.value.command_line) < 2000


def test_a_run_that_embeds_itself_is_told(run_dir):
    path = run_dir / "config.json"
    saved = json.loads(path.read_text())
    saved["config"].update(model="embedding", embedding=str(run_dir))
    path.write_text(json.dumps(saved))
    with pytest.raises(UserError):
        models.load_model(run_dir)

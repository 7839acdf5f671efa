import dataclasses
import json
import logging

import keras
import pytest
import tensorflow as tf

from common import runs
from common.cli import app
from common.config import OptimizerConfig
from common.errors import UserError
from common.training import optimizers, precision
from common.training.options import Options
from common.training.precision import Candidate
from kws import train

AUTO = OptimizerConfig(precision="auto", batch_size=4)
FLOAT, FLOAT_XLA = Candidate("float32", False), Candidate("float32", True)
BRAIN, BRAIN_XLA = Candidate("mixed_bfloat16", False), Candidate("mixed_bfloat16", True)


@pytest.fixture(autouse=True)
def float32_afterwards():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True)
def cpu_info(tmp_path, monkeypatch):
    """A CPU that computes in bfloat16, whichever is here."""
    path = tmp_path / "cpuinfo"
    path.write_text("flags : fpu avx2 avx512_bf16 avx512_vnni\n")
    monkeypatch.setattr(precision, "_CPU_INFO", path)
    return path


def build(config):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(1, dtype="float32")])
    model.compile(optimizers.build_optimizer(config, 10), "mse", jit_compile=config.jit_compile)
    return model


def batches(config=AUTO, split=None, training=True):
    assert training
    return tf.data.Dataset.from_tensor_slices((tf.ones((40, 3)), tf.ones((40, 1)))).batch(4).repeat()


def resolve(config, folder, build=build, resume=True, tune_jit_compile=True):
    options = Options(resume=resume, tune_jit_compile=tune_jit_compile)
    return precision.resolve(config, folder, "kws", lambda one, _: build(one), batches, {"train": None}, options)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({FLOAT: 100, FLOAT_XLA: 90, BRAIN: 80}, FLOAT),
        ({FLOAT: 100, FLOAT_XLA: 109, BRAIN: 109.9}, FLOAT),
        ({FLOAT: 100, FLOAT_XLA: 90, BRAIN: 111}, BRAIN),
        # Of what is about as fast the more exact is taken.
        ({FLOAT: 100, FLOAT_XLA: 150, BRAIN: 90, BRAIN_XLA: 160}, FLOAT_XLA),
        ({FLOAT: 100, FLOAT_XLA: 150, BRAIN: 90, BRAIN_XLA: 170}, BRAIN_XLA),
        # Float32 may have failed.
        ({BRAIN: 10, BRAIN_XLA: 10.5}, BRAIN),
    ],
)
def test_float32_stays_unless_something_is_a_tenth_faster(rates, expected):
    assert precision.choose(rates) == expected


def test_half_precision_is_for_gpus_and_a_given_compiler_is_kept():
    assert precision.candidates(has_gpu=False, has_bfloat16=True) == [FLOAT, FLOAT_XLA, BRAIN, BRAIN_XLA]
    assert precision.candidates(has_gpu=True, has_bfloat16=True, jit_compile=(True,)) == [
        FLOAT_XLA,
        BRAIN_XLA,
        Candidate("mixed_float16", True),
    ]


def test_a_cpu_without_bfloat16_is_not_timed_in_it(tmp_path, cpu_info, caplog):
    cpu_info.write_text("flags : fpu avx2\n")
    with caplog.at_level(logging.INFO):
        assert resolve(AUTO, tmp_path / "run", build=None, tune_jit_compile=False).precision == "float32"
        assert resolve(AUTO, tmp_path / "run").precision == "float32"
    assert "float32, since the CPU does not support bfloat16" in caplog.text
    assert "timing 2 candidates" in caplog.text
    cpu_info.unlink()
    assert precision.cpu_has_bfloat16()


def test_what_was_given_is_left_alone(tmp_path):
    config = dataclasses.replace(AUTO, precision="mixed_float16")
    assert resolve(config, tmp_path / "run", build=None) is config


@pytest.mark.slow
def test_every_candidate_is_timed_and_one_is_taken(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        config = resolve(AUTO, tmp_path / "run")
    assert config.precision in ("float32", "mixed_bfloat16")
    line = next(line for line in caplog.messages if "; chosen: " in line)
    for name in map(str, (FLOAT, FLOAT_XLA, BRAIN, BRAIN_XLA)):
        assert f" {name} " in line


@pytest.mark.slow
def test_candidates_have_their_own_precision(tmp_path):
    seen = []

    def note(config):
        model = build(config)
        seen.append((model.layers[0].compute_dtype, config.jit_compile, model.jit_compile))
        return model

    config = resolve(dataclasses.replace(AUTO, jit_compile=True), tmp_path / "run", note, tune_jit_compile=False)
    assert seen == [("float32", True, True), ("bfloat16", True, True)]
    assert config.jit_compile


def test_what_fails_is_left_out_with_a_word(caplog):
    def fail(config):
        if config.precision == "mixed_bfloat16":
            raise tf.errors.UnimplementedError(None, None, "no kernel\nfor this")
        model = build(config)
        if config.jit_compile:
            model.set_weights([value * float("nan") for value in model.get_weights()])
        return model

    tried = [FLOAT, FLOAT_XLA, BRAIN]
    with caplog.at_level(logging.WARNING):
        assert set(precision.measure(AUTO, tried, fail, batches())) == {FLOAT}
    assert "skipping mixed_bfloat16: no kernel" in caplog.text
    assert "skipping float32 with XLA: its loss is nan" in caplog.text
    with pytest.raises(UserError, match="training fails in all precisions; last error: no kernel"):
        precision.measure(AUTO, [BRAIN], fail, batches())


def test_a_run_directory_keeps_its_choice(tmp_path):
    chosen = dataclasses.replace(AUTO, precision="mixed_bfloat16", jit_compile=True)
    runs.start(tmp_path / "run", chosen, "kws", "default")
    assert resolve(AUTO, tmp_path / "run", build=None) == chosen
    timed = []
    resolve(AUTO, tmp_path / "run", lambda config: timed.append(config) or build(config), resume=False)
    assert len(timed) == 4


@pytest.mark.slow
def test_a_training_chooses_once_and_goes_on_with_it(train_flags, tmp_path, caplog):
    folder = tmp_path / "run"
    flags = [*train_flags, "--epochs=1", "--precision=auto", "--nojit_compile", f"--run_dir={folder}"]
    with caplog.at_level(logging.INFO):
        assert app.run(train.main, train.define_flags, flags) == 0
    assert caplog.text.count("; chosen: ") == 1
    config = json.loads((folder / "config.json").read_text())["config"]
    assert config["precision"] in ("float32", "mixed_bfloat16")
    assert config["jit_compile"] is False
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert app.run(train.main, train.define_flags, flags) == 0
    assert "is complete" in caplog.text
    assert "; chosen: " not in caplog.text

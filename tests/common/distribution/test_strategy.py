import json
import subprocess
import sys

import pandas as pd
import pytest
import tensorflow as tf

from common.cli import app
from common.distribution import strategy
from common.errors import UserError
from kws import evaluate
from tests import patience

DEVICES = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from common.cli import app
from common.distribution import strategy
"""
TWO_DEVICES = f"""{DEVICES}
with strategy.strategy("mirrored").scope():
    assert [strategy.evaluation_batch_size(9, size) for size in (2, 4, 20)] == [10, 10, 16]
    assert [strategy.evaluation_batch_size(11, size) for size in (4, 6, 8)] == [4, 6, 6]
    assert strategy.evaluation_batch_size(300, 64) == 64
from kws import train
sys.exit(app.run(train.main, train.define_flags, sys.argv[1:]))
"""
TWO_OF_A_TASK = f"""{DEVICES}
import importlib
train = importlib.import_module(sys.argv[1] + ".train")
sys.exit(app.run(train.main, train.define_flags, sys.argv[2:]))
"""


def test_one_device_needs_no_strategy():
    assert strategy.strategy("single") is tf.distribute.get_strategy()
    assert strategy.strategy("auto") is tf.distribute.get_strategy()


def test_one_device_takes_any_batch_size():
    assert strategy.evaluation_batch_size(9, 4) == 4


def test_mirroring_on_one_device_is_one_line():
    with pytest.raises(UserError, match="strategy=mirrored needs several devices"):
        strategy.strategy("mirrored")


def test_what_xla_does_not_compile_on_several_devices_is_one_line():
    refusal = "Cf. https://www.tensorflow.org/xla/known_issues#tfvariable_on_a_different_device"
    with pytest.raises(UserError, match="jit_compile: XLA cannot compile"), strategy.scope("single"):
        raise tf.errors.InvalidArgumentError(None, None, refusal)
    with pytest.raises(tf.errors.InvalidArgumentError), strategy.scope("single"):
        raise tf.errors.InvalidArgumentError(None, None, "shapes differ")


@pytest.mark.slow
def test_two_devices_train_and_evaluate_as_one_does(tmp_path, train_flags, shards_dir):
    """Two logical CPUs in a process of their own, because devices are fixed when TensorFlow starts."""
    folder = tmp_path / "mirrored"
    flags = [*train_flags, "--epochs=12", "--strategy=mirrored", f"--run_dir={folder}"]
    command = [sys.executable, "-c", TWO_DEVICES, *flags]
    result = subprocess.run(command, capture_output=True, text=True, timeout=patience.SECONDS)
    assert result.returncode == 0, result.stderr[-2000:]
    losses = pd.read_csv(folder / "history.csv")["loss"]
    assert losses.iloc[-1] < losses.iloc[0] / 2

    # Here is one device: what two counted together has to come out again.
    assert app.run(evaluate.main, evaluate.define_flags, [f"--run_dir={folder}", f"--shards_dir={shards_dir}"]) == 0
    trained, evaluated = (json.loads((folder / name).read_text()) for name in ("metrics.json", "evaluation.json"))
    assert trained["num_examples"] == 9
    assert evaluated["confusion"] == trained["confusion"]
    assert evaluated["cross_entropy"] == pytest.approx(trained["cross_entropy"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["counting", "separation", "generation"])
def test_two_devices_train_the_other_tasks(task, task_flags, tmp_path):
    """Several steps an epoch, which one device runs in one call; of a GAN both networks, optimizers and the average."""
    flags = [f"--shards_dir={tmp_path / 'shards'}", "--strategy=mirrored", f"--run_dir={tmp_path / 'run'}"]
    command = [sys.executable, "-c", TWO_OF_A_TASK, task, *task_flags[task], *flags]
    result = subprocess.run(command, capture_output=True, text=True, timeout=patience.SECONDS)
    assert result.returncode == 0, result.stderr[-2000:]
    history = pd.read_csv(tmp_path / "run/history.csv")
    measured = {"counting": "val_loss", "separation": "val_sdr", "generation": "frechet_distance"}[task]
    assert len(history) == 2 and history[["loss", measured]].notna().all(axis=None)
    if task == "counting":
        assert json.loads((tmp_path / "run" / "metrics.json").read_text())["num_examples"] == 60

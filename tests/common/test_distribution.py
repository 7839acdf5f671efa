import json
import subprocess
import sys

import pandas as pd
import pytest
import tensorflow as tf

from common import app, distribution
from common.errors import UserError
from kws import evaluate
from tests.riffs import write_riffs
from tests.voices import write_speakers

DEVICES = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from common import app, distribution
"""
TWO_DEVICES = f"""{DEVICES}
with distribution.strategy("mirrored").scope():
    assert [distribution.evaluation_batch_size(9, size) for size in (2, 4, 20)] == [10, 10, 16]
    assert [distribution.evaluation_batch_size(11, size) for size in (4, 6, 8)] == [4, 6, 6]
    assert distribution.evaluation_batch_size(300, 64) == 64
from kws import train
sys.exit(app.run(train.main, train.define_flags, sys.argv[1:]))
"""
TWO_GENERATORS = f"""{DEVICES}
from generation import train
sys.exit(app.run(train.main, train.define_flags, sys.argv[1:]))
"""
TWO_COUNTERS = f"""{DEVICES}
from counting import train
sys.exit(app.run(train.main, train.define_flags, sys.argv[1:]))
"""


def test_one_device_needs_no_strategy():
    assert distribution.strategy("single") is tf.distribute.get_strategy()
    assert distribution.strategy("auto") is tf.distribute.get_strategy()


def test_one_device_takes_any_batch_size():
    assert distribution.evaluation_batch_size(9, 4) == 4


def test_mirroring_on_one_device_is_one_line():
    with pytest.raises(UserError, match="--strategy=mirrored needs several devices"):
        distribution.strategy("mirrored")


def test_two_devices_train_and_evaluate_as_one_does(tmp_path, train_flags, shards_dir):
    """Two logical CPUs in a process of their own, because devices are fixed when TensorFlow starts."""
    folder = tmp_path / "mirrored"
    flags = [*train_flags, "--epochs=12", "--strategy=mirrored", f"--run_dir={folder}"]
    command = [sys.executable, "-c", TWO_DEVICES, *flags]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    losses = pd.read_csv(folder / "history.csv")["loss"]
    assert losses.iloc[-1] < losses.iloc[0] / 2

    # Here is one device: what two counted together has to come out again.
    assert app.run(evaluate.main, evaluate.define_flags, [f"--run_dir={folder}", f"--shards_dir={shards_dir}"]) == 0
    trained, evaluated = (json.loads((folder / name).read_text()) for name in ("metrics.json", "evaluation.json"))
    assert trained["num_examples"] == 9
    assert evaluated["confusion"] == trained["confusion"]
    assert evaluated["cross_entropy"] == pytest.approx(trained["cross_entropy"], rel=1e-3)


def test_two_devices_count_speakers_over_several_steps(tmp_path):
    """Four steps an epoch: on one device they would run in one call."""
    write_speakers(tmp_path / "voices", seconds=1.5)
    flags = ["--variant=tiny", "--corpus=folder", f"--data_dir={tmp_path / 'voices'}", "--max_speakers=2"]
    flags += [f"--shards_dir={tmp_path / 'shards'}", "--strategy=mirrored", f"--run_dir={tmp_path / 'run'}"]
    command = [sys.executable, "-c", TWO_COUNTERS, *flags, "--epochs=1", "--average_momentum=0.9"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["num_examples"] == 60


def test_two_devices_train_networks_that_play_against_each_other(tmp_path):
    """Both networks, both optimizers and the average are the same on both devices, which draw noise of their own."""
    music = write_riffs(tmp_path / "music")
    flags = ["--variant=tiny", "--corpus=folder", f"--data_dir={music}", f"--shards_dir={tmp_path / 'shards'}"]
    more = ["--r1_every=2", "--strategy=mirrored", f"--run_dir={tmp_path / 'run'}"]
    command = [sys.executable, "-c", TWO_GENERATORS, *flags, *more]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    history = pd.read_csv(tmp_path / "run/history.csv")
    assert len(history) == 2 and history["loss"].notna().all()
    assert history["frechet_distance"].notna().all()

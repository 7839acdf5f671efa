"""Kill -9 in the middle of preparing and of training; the same command then goes on."""

import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import soundfile

from common import shards
from common.corpora import manifest

PREPARE = """
import sys
from common import shards
from common.corpora import manifest
shards._SHARD_BYTES = 2**14
shards.prepare(manifest.read(sys.argv[1]), sys.argv[2], 16000)
"""


def kill_when(condition, command):
    """Start a command and kill it as soon as the condition holds."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, "the command ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_preparing_goes_on_after_a_kill(tmp_path, rng, monkeypatch):
    rows = []
    for number in range(600):
        path = tmp_path / "clips" / f"{number:03d}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, 44100), 44100)
        rows.append({"path": path, "duration": 1.0, "split": "train"})
    manifest.write(manifest.from_rows(rows), tmp_path / "manifest.csv")
    table = manifest.read(tmp_path / "manifest.csv")

    command = [sys.executable, "-c", PREPARE, str(tmp_path / "manifest.csv"), str(tmp_path / "shards")]
    kill_when(lambda: len(list((tmp_path / "shards").glob("*/shard-*.json"))) >= 5, command)
    complete = {path: path.stat().st_mtime_ns for path in (tmp_path / "shards").glob("*/shard-*.json")}
    monkeypatch.setattr(shards, "_SHARD_BYTES", 2**14)
    prepared = shards.prepare(table, tmp_path / "shards", 16000)
    assert len(complete) < len(prepared.paths)
    assert {path: path.stat().st_mtime_ns for path in complete} == complete
    seen = np.concatenate([rows for _, rows in shards.read(prepared, 16000, 64).as_numpy_iterator()])
    assert sorted(seen) == list(range(600))


@pytest.fixture
def command(train_flags, tmp_path):
    return [sys.executable, "-m", "kws.train", *train_flags, f"--run_dir={tmp_path / 'run'}", "--seed=1"]


def test_training_goes_on_after_a_kill_without_a_gap(command, tmp_path):
    history = tmp_path / "run" / "history.csv"
    kill_when(lambda: history.exists() and len(pd.read_csv(history)) >= 3, command)
    before = pd.read_csv(history)
    assert len(before) < 20
    result = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr[-2000:]
    assert f"going on after epoch {len(before)}" in result.stderr
    after = pd.read_csv(history)
    assert after["epoch"].tolist() == list(range(1, 31))
    pd.testing.assert_frame_equal(after.head(len(before)), before)
    assert (tmp_path / "run" / "metrics.json").exists()

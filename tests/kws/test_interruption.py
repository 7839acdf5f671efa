"""Kill -9, a full disk and a read-only run in the middle of things; the same command then goes on, to the same weights."""

import dataclasses
import errno
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import soundfile

from benchmarks import readable
from common import files, runs
from common.cli import app
from common.corpora import manifest
from common.data import shards
from common.files import locks
from kws import data, evaluate, export, train, training
from kws.config import VARIANTS
from tests import patience

PREPARE = """
import sys
from benchmarks import readable
from common.corpora import manifest
from common.data import shards
shards._SHARD_BYTES = 2**14
shards.prepare(manifest.read(sys.argv[1]), sys.argv[2], 16000)
"""


def kill_when(condition, command):
    """Start a command and kill it as soon as the condition holds."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + patience.SECONDS
    while not condition():
        assert process.poll() is None, "the command ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.slow
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


def train_command(train_flags, folder):
    """The command that trains for a few epochs, into folders of its own."""
    flags = [flag for flag in train_flags if not flag.startswith(("--epochs", "--shards_dir"))]
    flags += ["--epochs=5", f"--shards_dir={folder / 'shards'}", f"--run_dir={folder / 'run'}", "--deterministic"]
    return [sys.executable, "-m", "kws.train", *flags]


@pytest.mark.slow
def test_a_training_that_was_killed_again_and_again_gives_the_same_weights(train_flags, tmp_path):
    undisturbed = subprocess.Popen(
        train_command(train_flags, tmp_path / "undisturbed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    folder = tmp_path / "killed"
    command = train_command(train_flags, folder)
    history = folder / "run" / "history.csv"
    kill_when(lambda: list(folder.glob("shards/*/.shard*")), command)
    kill_when(lambda: history.exists() and len(pd.read_csv(history)) >= 2, command)
    assert not [fault for path in readable.stamps(folder) if (fault := readable.fault(path))]
    before = pd.read_csv(history)
    result = subprocess.run(command, capture_output=True, text=True, timeout=patience.SECONDS)
    assert result.returncode == 0, result.stderr[-2000:]
    assert f"resuming after epoch {len(before)}" in result.stderr
    pd.testing.assert_frame_equal(pd.read_csv(history).head(len(before)), before)
    assert undisturbed.wait(timeout=patience.SECONDS) == 0
    assert readable.differences(tmp_path / "undisturbed" / "run", folder / "run") == []
    assert readable.leftovers(folder) == []


@pytest.mark.slow
def test_two_trainings_share_shards_but_not_a_run(train_flags, tmp_path):
    """The second is refused before any work; a run that is being trained can be evaluated, and goes on after kill -9."""

    def start(name, epochs):
        flags = [
            *train_flags,
            f"--epochs={epochs}",
            f"--shards_dir={tmp_path / 'shards'}",
            f"--run_dir={tmp_path / name}",
        ]
        command = [sys.executable, "-m", "kws.train", *flags]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    first, other = start("run", 100_000), start("other", 1)
    while not (tmp_path / ".run.lock").exists():
        assert first.poll() is None
        time.sleep(0.01)
    second = start("run", 100_000)
    _, error = second.communicate(timeout=patience.SECONDS)
    assert second.returncode == 2
    assert f"run is in use by process {first.pid} on" in error.splitlines()[-1]
    _, error = other.communicate(timeout=patience.SECONDS)
    assert other.returncode == 0, error
    while not (tmp_path / "run" / "model.keras").exists():
        assert first.poll() is None
        time.sleep(0.01)
    flags = [f"--run_dir={tmp_path / 'run'}", f"--shards_dir={tmp_path / 'shards'}", f"--output={tmp_path / 'a.json'}"]
    assert app.run(evaluate.main, evaluate.define_flags, flags) == 0
    first.kill()
    first.communicate()
    runs.check_folder(tmp_path / "run")
    locks.release(tmp_path / "run")


def test_a_kill_between_two_files_loses_neither(tmp_path):
    """The state is written before the table, and the figures before the state is removed."""
    config = dataclasses.replace(VARIANTS["tiny"], words=("low", "high"))
    run = runs.start(tmp_path / "run", config, "kws", "tiny")
    run.history = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 0.5}]
    runs.save_state(run, compiled(config))
    (run.folder / "history.csv").write_text("epoch,loss\n1,1.0\n")
    runs.start(tmp_path / "run", config, "kws", "tiny")
    assert pd.read_csv(run.folder / "history.csv")["epoch"].tolist() == [1, 2]
    files.write_json(run.metrics_path, {})
    assert runs.start(tmp_path / "run", config, "kws", "tiny").complete
    assert not run.state_path.parent.exists()


def compiled(config):
    model = training.build_model(config)
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def disk():
    """A disk on which no file grows beyond what it is given."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda num_bytes: resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes or limits[0], limits[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(train_flags, tmp_path, disk, capsys):
    flags = [*train_flags, f"--run_dir={tmp_path / 'run'}", f"--shards_dir={tmp_path / 'shards'}", "--epochs=2"]
    # For the shards, for the weights, and for the pictures of the test split.
    for num_bytes in (20_000, 60_000, 1_000_000, None):
        disk(num_bytes)
        code = app.run(train.main, train.define_flags, flags)
        disk(None)
        error = capsys.readouterr().err
        lines = [line for line in error.splitlines() if line.startswith("error:")]
        assert (code, len(lines)) == ((2, 1) if num_bytes else (0, 0)), error
        assert "Traceback" not in error
        assert not readable.leftovers(tmp_path)
        assert not [fault for path in readable.stamps(tmp_path) if (fault := readable.fault(path))]


def test_a_run_that_is_read_only_can_be_used_and_is_told_before_long_work(
    run_dir, shards_dir, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(files.atomic.tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr(data, "load_corpus", lambda *_, **__: pytest.fail("long work"))
    flags = [f"--run_dir={run_dir}", f"--shards_dir={shards_dir}"]
    for script in (evaluate, export):
        assert app.run(script.main, script.define_flags, flags) == 2
        assert "Read-only file system" in capsys.readouterr().err


def refuse(**options):
    raise OSError(errno.EROFS, "Read-only file system")

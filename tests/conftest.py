"""What all tests share: real recordings where they are at hand, and waveforms made on the spot."""

import fcntl
import gc
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.example_corpora.whistles import write_words
from common.cli import app
from kws import train

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items):
    """Mark what reads real recordings, and as slow what needs a run that is trained first."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "real_data" in fixtures:
            item.add_marker("recordings")
        if "trained" in fixtures:
            item.add_marker("slow")


def pytest_terminal_summary(terminalreporter):
    """Say how many tests were skipped, and why."""
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.getreports("skipped"))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Return a function that makes a folder once for all processes that test, and returns it."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # in it lie the folders of all processes

    def once(name, make):
        folder, made = root / name, root / f"{name}.made"
        with open(root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                if not made.exists():
                    shutil.rmtree(folder, ignore_errors=True)
                    make(folder)
                    made.touch()
            finally:
                # Closing does not unlock while a process that was started meanwhile has the file open too.
                fcntl.flock(lock, fcntl.LOCK_UN)
        return folder

    return once


@pytest.fixture(scope="session")
def trained(once, tmp_path_factory):
    """Return a function that trains a run directory once, and returns a copy of it for the tests of this process.

    Tests evaluate and export in it.
    """

    def trained(name, train, flags):
        def make(folder):
            assert app.run(train.main, train.define_flags, [*flags, f"--run_dir={folder}"]) == 0

        return shutil.copytree(once(name, make), tmp_path_factory.mktemp("runs") / name)

    return trained


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings that lies beside the repository on the developers' machines."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real recordings at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def cases(real_data, tmp_path_factory) -> Path:
    """Small inputs that went wrong once, built by a script that lies beside the real recordings."""
    script = real_data.parent / "cases" / "build.py"
    if not script.is_file():
        pytest.skip(f"no cases at {script}")
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, str(script), str(folder), str(real_data)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module", autouse=True)
def without_looking_at_old_graphs():
    """TensorFlow keeps graphs for good, millions of objects; Python's garbage collector is to look through them once only."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def with_control_c():
    """A shell has what it runs in the background ignore Ctrl-C, and all processes that are started there inherit it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng() -> np.random.Generator:
    """A random generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def corpus_dir(once):
    return once("whistles", write_words)


@pytest.fixture(scope="session")
def shards_dir(once):
    return once("shards", Path.mkdir)


@pytest.fixture(scope="session")
def train_flags(corpus_dir, shards_dir):
    """The flags that train the tiny variant on the whistles in seconds."""
    return [
        "--variant=tiny",
        "--corpus=folder",
        f"--data_dir={corpus_dir}",
        f"--shards_dir={shards_dir}",
        "--epochs=30",
        "--schedule=cosine",
        "--batch_size=4",
        "--max_shift_ms=400",
        "--max_time_mask=0",
        "--noise_probability=0.5",
        "--label_smoothing=0.1",
        "--max_frequency_mask=0",
    ]


@pytest.fixture(scope="session")
def run_dir(trained, train_flags):
    """A run directory as `python -m kws.train` leaves it."""
    return trained("spotter", train, train_flags)

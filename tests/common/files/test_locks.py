"""Real processes take locks from one another."""

import json
import os
import signal
import subprocess
import sys

import pytest

from common.errors import UserError
from common.files import locks

HOLD = """
import sys
from common.files import locks
locks.acquire(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Have another process take a lock; it gives it back when its standard input is closed."""
    processes = []

    def start(folder):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_the_second_is_refused_and_told_who_holds_it(hold, tmp_path):
    folder = tmp_path / "runs" / "run"
    holder = hold(folder)
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    for name in (folder, tmp_path / "link" / "run"):
        with pytest.raises(UserError, match=rf"run is in use by process {holder.pid} on \S+ since 20\d\d-"):
            locks.acquire(name)
    assert not folder.exists()


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_process_that_is_gone_holds_nothing(how, hold, tmp_path):
    holder = hold(tmp_path / "run")
    if how == "killed":
        holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert (tmp_path / ".run.lock").exists() == (how == "killed")
    locks.acquire(tmp_path / "run")
    assert json.loads((tmp_path / ".run.lock").read_text())["pid"] == os.getpid()
    locks.release(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_one_process_takes_it_twice_and_leaves_nothing(tmp_path):
    folder = tmp_path / "a" / "b" / "run"
    locks.acquire(folder)
    locks.acquire(folder)
    folder.mkdir()
    # Moved away and made anew, as with --noresume, it is locked all the same.
    folder.rename(folder.with_name("run.earlier"))
    locks.acquire(folder)
    folder.with_name("run.earlier").rmdir()
    locks.release(folder)
    locks.release(folder)
    assert list(tmp_path.iterdir()) == []


def test_where_no_lock_can_be_written_there_is_none(tmp_path):
    (tmp_path / "file").touch()
    locks.acquire(tmp_path / "file" / "run")
    locks.acquire("/proc/nothing/run")
    locks.release("/proc/nothing/run")


def test_a_holder_that_said_nothing_is_another_process(hold, tmp_path):
    hold(tmp_path / "run")
    (tmp_path / ".run.lock").write_text("{")
    with pytest.raises(UserError, match="in use by another process"):
        locks.acquire(tmp_path / "run")

"""Work in several processes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from common.corpora import parallel
from common.errors import UserError
from tests import patience


def _tell_process(item):
    if item == "bad":
        raise UserError("a bad item")
    return os.getpid(), item


def test_few_items_stay_in_this_process():
    assert list(parallel.stripes(_tell_process, [1, 2, 3], 4)) == [(os.getpid(), item) for item in (1, 2, 3)]
    assert list(parallel.stripes(_tell_process, [], 4)) == []


def test_many_items_are_dealt_out_in_turn_and_come_back_in_order():
    done = list(parallel.stripes(_tell_process, list(range(51)), 4))
    assert [item for _, item in done] == list(range(51))
    processes = [process for process, _ in done]
    assert len(set(processes[::2])) == len(set(processes[1::2])) == 1
    assert len({processes[0], processes[1], os.getpid()}) == 3


def test_what_goes_wrong_in_another_process_is_told_here():
    with pytest.raises(UserError, match="^a bad item$"):
        list(parallel.stripes(_tell_process, ["good", "bad"], 2))


def test_a_script_is_not_run_again(tmp_path):
    """Users' scripts seldom have `if __name__ == "__main__"`."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os\nfrom common.corpora import parallel\nprint('started')\n"
        "print(sum(parallel.stripes(abs, [-1] * 10, 2)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "started\n10\n" and not done.stderr


PROGRAM = """
import multiprocessing, threading, time
from common.corpora import parallel

def tell():
    while len(multiprocessing.active_children()) < 2:
        time.sleep(0.01)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)

threading.Thread(target=tell, daemon=True).start()
list(parallel.stripes(time.sleep, [3600.0, 3600.0], 1, 1))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_their_parent_and_say_nothing(number):
    parent = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = [int(word) for word in parent.stdout.readline().split()]
    # Ctrl-C goes to all.
    os.killpg(parent.pid, number) if number == signal.SIGINT else parent.kill()
    _, error = parent.communicate(timeout=patience.SECONDS)
    assert error.count("KeyboardInterrupt") == (number == signal.SIGINT)
    deadline = time.monotonic() + patience.SECONDS
    while any(is_running(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False

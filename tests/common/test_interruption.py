"""A real program of a few lines is sent real signals."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests import patience

PROGRAM = """
import sys, threading, time
from common import interruption

def work(kind):
    print("working", flush=True)
    if kind == "python":
        time.sleep(3600)
    if kind == "thread":
        # As a pool of threads does, wait for one that cannot be stopped.
        thread = threading.Thread(target=time.sleep, args=[3600])
        thread.start()
        try:
            time.sleep(3600)
        finally:
            thread.join()
    if kind == "deaf":
        while True:
            try:
                time.sleep(3600)
            except KeyboardInterrupt:
                pass

class Callback:
    # What is raised in here, Python cannot raise anywhere.
    def __del__(self):
        time.sleep(3600)

try:
    with interruption.raising():
        if sys.argv[1] == "callback":
            print("working", flush=True)
            Callback()
            time.sleep(3600)
        work(sys.argv[1])
except KeyboardInterrupt as error:
    interruption.tell()
    sys.exit(error.exit_code)
"""


def start(*arguments, **options):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout.readline() == "working\n"
    return process


@pytest.mark.parametrize("kind", ["python", "thread", "deaf", "callback"])
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_program_whatever_it_does(kind, number, exit_code):
    process = start(kind)
    process.send_signal(number)
    _, error = process.communicate(timeout=patience.SECONDS)
    assert process.returncode == exit_code
    assert error == "interrupted; finished work is kept, run the same command to resume\n"


def test_impatience_changes_nothing():
    process = start("thread")
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    _, error = process.communicate(timeout=patience.SECONDS)
    assert process.returncode == 130
    assert error.count("\n") == 1


def test_a_program_in_the_background_does_not_hear_of_control_c():
    process = start("python", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=patience.SECONDS)
    assert process.returncode == 143


@pytest.mark.slow
def test_control_c_while_tensorflow_loads_is_no_traceback():
    process = subprocess.Popen([sys.executable, "-m", "common.data_service"], stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline() == "loading TensorFlow\n"
    time.sleep(0.3)  # that line is written once more where it is interrupted
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=patience.SECONDS)
    assert process.returncode == 130
    assert error == "interrupted; finished work is kept, run the same command to resume\n"


def test_handlers_are_as_they_were_after_the_block():
    from common import interruption

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    descriptors = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with interruption.raising():
            assert signal.getsignal(signal.SIGTERM) not in before
    time.sleep(0.1)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 1


def test_the_line_is_written_before_a_process_is_ended():
    program = (
        "import os; from common import interruption, streams; streams.prepare(); interruption.tell(); os._exit(130)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr.startswith("interrupted; ")

"""Ctrl-C, and SIGTERM from `kill`, Slurm or Kubernetes: both end a program within a second or two.

Python hears a signal only between two of its own steps on the main thread. A call into TensorFlow, a thread that decodes a
long recording, or a callback from C that swallows exceptions can keep it from ending; and when Python itself has ended, taking
TensorFlow apart can last for five seconds. So a thread that hears of the signal at once ends the process where it has not
ended by itself, and nothing is taken apart. Files appear whole or not at all, so nothing is lost.
"""

import atexit
import contextlib
import functools
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

_MESSAGE = "interrupted; what was complete is kept, and the same command goes on"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE_SECONDS = 1.0
_told = threading.Event()
_ending: list[int] = []
_holding: list[bool] = []
# Called before a process that cannot hear of the signal is ended: what has to be closed on standard output.
last_words: list[Callable[[], None]] = []


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to end."""

    def __init__(self, number: int):
        super().__init__()
        self.exit_code = 128 + number


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Raise `Interrupted` in the block when a signal asks the program to end; a second one changes nothing.

    Off the main thread, where Python handles no signals, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _end_at_exit()
    # What was started with `nohup` or in the background of a script is not to hear of Ctrl-C.
    heard = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    handlers = {number: signal.signal(number, _raise) for number in heard}
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    earlier = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    unraisable, sys.unraisablehook = sys.unraisablehook, _ignore_interruption
    threading.Thread(target=_insist, args=[receiver], daemon=True).start()
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        signal.set_wakeup_fd(earlier)
        sender.close()
        for number, handler in handlers.items():
            # After the first signal all are ignored to the end of the process.
            if signal.getsignal(number) is _raise:
                signal.signal(number, handler)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Let a signal wait for the end of the block: for a few steps of which none or all are to be done."""
    known = len(_ending)
    _holding.append(True)
    try:
        yield
    finally:
        _holding.pop()
    if len(_ending) > known:
        raise Interrupted(_ending[-1] - 128)


def tell() -> None:
    """Print that the program was interrupted."""
    _told.set()
    print(_MESSAGE, file=sys.stderr)


def _raise(number: int, frame: FrameType | None) -> None:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    _ending.append(128 + number)
    if not _holding:
        raise Interrupted(number)


def _insist(receiver: socket.socket) -> None:
    """Wait for a signal, and end the process if it has not ended a little later."""
    with receiver:
        # Other signals are none of ours; nothing comes once the block is left.
        while number := receiver.recv(1):
            if number[0] in _SIGNALS:
                time.sleep(_GRACE_SECONDS)
                _say_last_words()
                if not _told.is_set():
                    with contextlib.suppress(OSError):
                        os.write(2, f"{_MESSAGE}\n".encode())
                os._exit(128 + number[0])


def _say_last_words() -> None:
    """Close what is open on standard output; whoever reads it no more is not waited for."""
    for say in list(last_words):
        thread = threading.Thread(target=say, daemon=True)
        thread.start()
        thread.join(_GRACE_SECONDS)


def _ignore_interruption(unraisable: "sys.UnraisableHookArgs") -> None:
    """Show what cannot be raised, as Python does; but not that a callback from C was interrupted."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


@functools.cache
def _end_at_exit() -> None:
    """Have the process end with the exit code of a signal. What is registered first, before TensorFlow, is called last."""
    atexit.register(_end)


def _end() -> None:
    """After a signal, end the process with its exit code."""
    if _ending:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(_ending[0])

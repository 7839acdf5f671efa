"""End a program within a second or two after Ctrl-C, or SIGTERM from `kill`, Slurm or Kubernetes.

Python handles signals only between bytecodes on the main thread. A call into TensorFlow, a thread that decodes a long
recording, or a C callback that swallows exceptions can delay the exit, and shutting down TensorFlow can take five
seconds. So a thread receives the signal immediately, and ends the process without a shutdown if it has not ended by
then. Files are written atomically, so nothing is lost.
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

_MESSAGE = "interrupted; finished work is kept, run the same command to resume"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE_SECONDS = 1.0
_printed = threading.Event()
_exit_codes: list[int] = []
_holding: list[bool] = []
# Functions called before the process is ended by force, to finish the text on standard output.
last_words: list[Callable[[], None]] = []


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to end."""

    def __init__(self, number: int):
        super().__init__()
        self.exit_code = 128 + number


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Raise `Interrupted` in the block on SIGINT or SIGTERM; further signals are ignored.

    It has no effect off the main thread, where Python does not handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _end_at_exit()
    # Ignored signals stay ignored: programs under `nohup` or in the background of a script do not react to Ctrl-C.
    handled = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    handlers = {number: signal.signal(number, _raise) for number in handled}
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    earlier = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    unraisable, sys.unraisablehook = sys.unraisablehook, _ignore_interruption
    threading.Thread(target=_force_exit, args=[receiver], daemon=True).start()
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        signal.set_wakeup_fd(earlier)
        sender.close()
        for number, handler in handlers.items():
            # After the first signal, all are ignored until the process ends.
            if signal.getsignal(number) is _raise:
                signal.signal(number, handler)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Delay signals to the end of the block, so that its steps are not interrupted halfway."""
    known = len(_exit_codes)
    _holding.append(True)
    try:
        yield
    finally:
        _holding.pop()
    if len(_exit_codes) > known:
        raise Interrupted(_exit_codes[-1] - 128)


def tell() -> None:
    """Print that the program was interrupted."""
    _printed.set()
    # The process may be ended before Python writes what is buffered.
    print(_MESSAGE, file=sys.stderr, flush=True)


def _raise(number: int, frame: FrameType | None) -> None:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    _exit_codes.append(128 + number)
    if not _holding:
        raise Interrupted(number)


def _force_exit(receiver: socket.socket) -> None:
    """Wait for a signal, and end the process if it is still running a second later."""
    with receiver:
        # Other signals are ignored; `recv` returns nothing once the block has ended.
        while number := receiver.recv(1):
            if number[0] in _SIGNALS:
                time.sleep(_GRACE_SECONDS)
                _say_last_words()
                if not _printed.is_set():
                    with contextlib.suppress(OSError):
                        os.write(2, f"{_MESSAGE}\n".encode())
                os._exit(128 + number[0])


def _say_last_words() -> None:
    """Call `last_words`, each with a timeout in case nobody reads standard output."""
    for say in list(last_words):
        thread = threading.Thread(target=say, daemon=True)
        thread.start()
        thread.join(_GRACE_SECONDS)


def _ignore_interruption(unraisable: "sys.UnraisableHookArgs") -> None:
    """Print unraisable exceptions as Python does, except an interruption of a C callback."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


@functools.cache
def _end_at_exit() -> None:
    """Make the process exit with the code of the signal. Registered before TensorFlow, so it is called last."""
    atexit.register(_end)


def _end() -> None:
    """End the process with the exit code of the signal, if there was one."""
    if _exit_codes:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(_exit_codes[0])

"""Standard input, output and error as whoever starts a command left them: closed, full, a pipe that nobody reads, another encoding.

What cannot be told on standard error never ends what is being done. What cannot be written to standard output does, and the
error says so by its `filename`.
"""

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

from common.errors import UserError

OUTPUT = "standard output"
_ESCAPES = "quartet_bytes_or_escapes"


def open_closed() -> None:
    """Lead what is closed of the three nowhere, before a file that is opened takes its number."""
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(descriptor)
        except OSError:
            _lead_nowhere(descriptor)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - open until the process ends


def prepare() -> None:
    """Make the two that are written to say what they cannot, and write every name: as its bytes, or else escaped."""
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout, _ESCAPES)
    elif hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors=_ESCAPES)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Messages(2, "w", closefd=False), sys.stderr, "backslashreplace")


def standard_input() -> BinaryIO:
    """Return standard input, to read a recording from.

    Raises:
        UserError: It is a terminal, where nobody types a recording.
    """
    if sys.stdin.isatty():
        raise UserError("standard input is a terminal; expected a recording: pipe one in, or name files")
    return sys.stdin.buffer


@contextlib.contextmanager
def as_log() -> Iterator[None]:
    """Take standard output for a log in the block, where nothing ends because nobody reads it, or because it is full."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Output):
        yield
        return
    raw.is_log = True
    try:
        yield
    finally:
        sys.stdout.flush()
        raw.is_log = False


def refused(error: BaseException) -> bool:
    """Say whether an exception means that standard output takes no more."""
    return isinstance(error, BrokenPipeError) or getattr(error, "filename", None) == OUTPUT


def drop_output() -> None:
    """Lead standard output nowhere: what is still buffered cannot be written, and Python would try it once more."""
    _lead_nowhere(sys.stdout.fileno())


def _lead_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    os.set_inheritable(descriptor, True)


class _Output(io.FileIO):
    """Names itself in what it raises; a log takes for written what it cannot write."""

    is_log = False

    def write(self, data: bytes) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            if self.is_log:
                return len(data)
            error.filename = OUTPUT
            raise


class _Messages(io.FileIO):
    """Takes for written what it cannot write."""

    def write(self, data: bytes) -> int | None:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def _text(raw: io.FileIO, earlier: io.TextIOWrapper, errors: str) -> io.TextIOWrapper:
    earlier.flush()
    buffering = {"line_buffering": earlier.line_buffering, "write_through": earlier.write_through}
    return io.TextIOWrapper(io.BufferedWriter(raw), earlier.encoding, errors, **buffering)


def _bytes_or_escapes(error: UnicodeError) -> tuple[bytes | str, int]:
    """Write a byte of a name that is no text as itself, and a character that the encoding lacks as its escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff" and "a".encode(error.encoding) == b"a":
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return codecs.backslashreplace_errors(
        UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    )


codecs.register_error(_ESCAPES, _bytes_or_escapes)

"""Robust standard streams: they may be closed, full, a pipe that nobody reads, or of another encoding.

Failed writes to standard error are ignored. Failed writes to standard output raise an error whose `filename` is
`OUTPUT`.
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
    """Redirect closed standard streams to the null device, before an opened file gets their descriptor."""
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(descriptor)
        except OSError:
            _redirect_to_null(descriptor)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - never closed


def prepare() -> None:
    """Replace standard output and error: names that cannot be encoded are written as bytes or escaped."""
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout, _ESCAPES)
    elif hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors=_ESCAPES)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Messages(2, "w", closefd=False), sys.stderr, "backslashreplace")


def standard_input() -> BinaryIO:
    """Return standard input, to read a recording from.

    Raises:
        UserError: It is a terminal.
    """
    if sys.stdin.isatty():
        raise UserError("standard input is a terminal; expected a recording: pipe one in, or name files")
    return sys.stdin.buffer


@contextlib.contextmanager
def as_log() -> Iterator[None]:
    """Treat standard output as a log in the block: failed writes are ignored."""
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
    """Whether an exception means that standard output cannot be written to."""
    return isinstance(error, BrokenPipeError) or getattr(error, "filename", None) == OUTPUT


def drop_output() -> None:
    """Redirect standard output to the null device, because Python would try again to write what is buffered."""
    _redirect_to_null(sys.stdout.fileno())


def _redirect_to_null(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    os.set_inheritable(descriptor, True)


class _Output(io.FileIO):
    """Standard output: errors have its name; as a log it ignores failed writes."""

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
    """Standard error: ignores failed writes."""

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
    """Error handler: writes undecodable bytes of names as they are, and escapes characters that the encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff" and "a".encode(error.encoding) == b"a":
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return codecs.backslashreplace_errors(
        UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    )


codecs.register_error(_ESCAPES, _bytes_or_escapes)

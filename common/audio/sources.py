"""Sources of recordings: paths, and file objects such as standard input."""

import contextlib
import io
import os
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

from common.errors import UserError

AudioSource = str | os.PathLike | BinaryIO

READABLE = "WAV, FLAC, MP3, Ogg, Opus, AIFF, M4A and others"
_COPIED_BYTES = 2**20


def source_name(path_or_file: AudioSource) -> str:
    """Return the name of a recording for messages; a path must be a readable file that is not empty.

    Raises:
        UserError: The path does not exist, or is a folder, an empty file or an unreadable one.
    """
    if hasattr(path_or_file, "read"):
        name = getattr(path_or_file, "name", None)
        return name if isinstance(name, str) and name != "<stdin>" else "standard input"
    path = Path(path_or_file)
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder; expected an audio file such as {READABLE}")
        if not path.exists():
            raise UserError(f"{path} does not exist; expected an audio file such as {READABLE}: check the path")
        if not path.is_file():
            raise UserError(f"{path} is not a regular file; expected an audio file such as {READABLE}")
        if not path.stat().st_size:
            raise empty(str(path))
        with path.open("rb"):
            pass
    except OSError as error:
        raise UserError(
            f"cannot open {path}: {error.strerror or error}; expected a file that you have permission to read"
        ) from error
    return str(path)


def empty(name: str) -> UserError:
    """Return the error for an empty file."""
    return UserError(f"{name} is empty (0 bytes); expected audio such as {READABLE}")


def seekable(stack: contextlib.ExitStack, name: str, source: AudioSource) -> BinaryIO:
    """Open a recording as a seekable file; sources that cannot seek are copied to a temporary file.

    Args:
        stack: Closes the file at its exit.
        name: For messages.
        source: A path, or a binary file object.

    Raises:
        UserError: It cannot be copied, or is empty.
    """
    if not hasattr(source, "read"):
        return stack.enter_context(open(source, "rb"))
    file = source
    # A file that was partly read is copied from its current position.
    if not (getattr(file, "seekable", lambda: False)() and file.tell() == 0):
        file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        copy(name, source, file)
    if not file.seek(0, io.SEEK_END):
        raise empty(name)
    file.seek(0)
    return file


def copy(name: str, source: BinaryIO, target: BinaryIO) -> None:
    """Copy a recording from a pipe to a temporary file.

    Raises:
        UserError: There is not enough space, or the recording cannot be read.
    """
    try:
        shutil.copyfileobj(source, target, _COPIED_BYTES)
    except OSError as error:
        raise UserError(
            f"cannot copy {name} to a temporary file: {error.strerror or error}; expected enough free space: set TMPDIR"
            " to a folder with more space"
        ) from error


class SeekableAnywhere:
    """A file object that answers invalid seeks of a decoder in damaged files; otherwise Python prints a traceback."""

    def __init__(self, file: BinaryIO):
        self.read, self.tell, self._seek = file.read, file.tell, file.seek

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek; stay in place and return -1 where the offset is invalid. FFmpeg takes that for an error."""
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError):
            return -1

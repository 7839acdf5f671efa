"""Files and folders that appear whole or not at all."""

import contextlib
import errno
import fcntl
import hashlib
import itertools
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from common.errors import UserError

# What is being written is named so beside its target.
_PARTIAL = re.compile(r"\..+\.partial-[0-9a-f]{8}(\.[^.]*)?", re.DOTALL)
# What most file systems allow a name, in bytes.
_LONGEST_NAME = 255
# The temporary name of any target stays below that, and below the 143 bytes of encrypted folders.
_LONGEST_STEM, _LONGEST_SUFFIX = 96, 16
# What a disk that is full, limited or read-only says, as OSError or as text in the errors of TensorFlow and HDF5.
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
_tidied: set[Path] = set()


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends well.

    A reader sees the old file or the new one, never a part: renaming within a folder is atomic. The temporary name keeps
    the suffix, because many writers choose their format by it. What killed processes left in the folder is removed.

    Args:
        path: The file to write; missing parent folders are made.

    Yields:
        The path to write to; an empty file is there already.

    Raises:
        UserError: The folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    with _explained(path), _claimed(path, is_folder=False) as temporary:
        yield temporary
        os.replace(temporary, path)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that takes its place when the block ends well.

    Unlike a file, a folder that is there cannot be replaced at once: it is moved away first, so that for a moment there
    is neither. A half of either is never there.

    Args:
        path: The folder to write; missing parent folders are made.

    Yields:
        The folder to write to, empty.

    Raises:
        UserError: The folder cannot be made or written to, or the disk is full.
    """
    path = Path(path)
    with _explained(path), temporary_folder(path) as temporary:
        yield temporary
        if path.exists():
            with temporary_folder(path) as earlier:
                os.replace(path, earlier)
                os.replace(temporary, path)
        else:
            os.replace(temporary, path)


def temporary_folder(path: str | Path) -> contextlib.AbstractContextManager[Path]:
    """Give an empty folder beside `path` that is gone at the end of the block, or once a killed process is missed."""
    return _claimed(Path(path), is_folder=True)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = refusal(error)
        if reason is None and isinstance(error, OSError):
            reason = error.strerror or str(error)
        if reason is None:
            raise
        raise UserError(f"cannot write {path}: {reason}; check the folder and the free space") from error


@contextlib.contextmanager
def _claimed(path: Path, is_folder: bool) -> Iterator[Path]:
    """Make a temporary file or folder beside a path and hold a lock on it, which ends with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent not in _tidied:
        remove_leftovers(path.parent)
        _tidied.add(path.parent)
    stem, suffix = (path.name, "") if is_folder else (path.stem, path.suffix)
    stem, suffix = _cut(stem, _LONGEST_STEM), _cut(suffix, _LONGEST_SUFFIX)
    descriptor = None
    while descriptor is None:
        temporary = path.with_name(f".{stem}.partial-{uuid.uuid4().hex[:8]}{suffix}")
        descriptor = _create_locked(temporary, is_folder)
    try:
        yield temporary
    finally:
        _remove(temporary)
        os.close(descriptor)


def _create_locked(path: Path, is_folder: bool) -> int | None:
    """Return the locked descriptor of a new file or folder; None if somebody took it for a leftover before it was locked."""
    if is_folder:
        path.mkdir()
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
    else:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o666)
    # Some network file systems know no locks; what is left over there stays.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if path.exists():
        return descriptor
    os.close(descriptor)
    return None


def remove_leftovers(folder: str | Path) -> None:
    """Remove what killed processes were writing in a folder; what a living one is writing is locked, and stays."""
    for path in Path(folder).glob(".*.partial-*"):
        if not _PARTIAL.fullmatch(path.name):
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def fitting_name(stem: str, suffix: str = "", room: int = 0) -> str:
    """Return the name of a file, its stem shortened where the file system would refuse the whole.

    A shortened stem ends with a hash of the whole, so that names that begin alike stay apart.

    Args:
        stem: What the name should be.
        suffix: Stands at its end, as it is.
        room: Bytes to leave for what the caller puts around the name.

    Example:
        >>> fitting_name("song", ".wav")
        'song.wav'
        >>> fitting_name("long " * 60, ".wav", room=210)
        'long long long long long long lo-994ef62a.wav'
    """
    size = _LONGEST_NAME - room - len(os.fsencode(suffix))
    if len(os.fsencode(stem)) > size:
        mark = f"-{hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}"
        stem = _cut(stem, size - len(mark)) + mark
    return stem + suffix


def beside(stem: str | Path, ending: str) -> Path:
    """Return the path of a file that is called after another, whose name may be as long as names can be.

    Example:
        >>> beside("runs/evaluation", "_roc.png").as_posix()
        'runs/evaluation_roc.png'
    """
    return Path(stem).with_name(fitting_name(Path(stem).name, ending))


def _cut(text: str, num_bytes: int) -> str:
    """Return as many of the first letters as fit into some bytes of a name."""
    sizes = itertools.accumulate(len(os.fsencode(letter)) for letter in text)
    return text[: sum(size <= num_bytes for size in sizes)]


def refusal(error: BaseException) -> str | None:
    """Say what the disk refused, if that is what an exception comes from: no space, no permission, a limit.

    TensorFlow and HDF5 raise errors of their own, which only tell it in their text.

    Example:
        >>> refusal(RuntimeError("a.tfrecord; No space left on device"))
        'No space left on device'
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            return os.strerror(error.errno)
        for reason in map(os.strerror, _REFUSALS):
            if reason in str(error):
                return reason
        error = error.__cause__ or error.__context__
    return None


def check_writable(folder: str | Path) -> None:
    """Refuse a folder that cannot be written to, before long work is done for it.

    A folder that is not there is not made: the nearest one above it is tried.

    Raises:
        UserError: It cannot be written to, or is none.
    """
    folder = Path(folder)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    with _explained(folder), tempfile.TemporaryFile(dir=existing):
        pass


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all; names of files that are no UTF-8 get their bytes back."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: str | Path, value: object) -> None:
    """Write `value` to `path` as indented JSON, whole or not at all.

    Not-a-number and infinity have no place in JSON and become `null`, so that every reader can load the file.
    """
    write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False, default=_plain) + "\n")


def read_json(path: str | Path, way_out: str) -> object:
    """Read a JSON file that the toolkit wrote once.

    Args:
        path: The file.
        way_out: How to mend a damaged one, for the message.

    Raises:
        FileNotFoundError: It is missing, which means something else to every caller.
        UserError: It cannot be read, or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; {way_out}") from error
    except RecursionError as error:
        raise UserError(f"cannot read {path}: it is nested too deeply; {way_out}") from error


def _plain(value: object) -> object:
    """Turn numpy scalars and arrays into what JSON knows."""
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return value

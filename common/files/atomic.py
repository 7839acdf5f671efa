"""Atomic writing of files and folders."""

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

# Names of temporary files and folders, next to their target.
_PARTIAL = re.compile(r"\..+\.partial-[0-9a-f]{8}(\.[^.]*)?", re.DOTALL)
# Longest name on most file systems, in bytes.
_LONGEST_NAME = 255
# Limits for temporary names, which stay below that and below the 143 bytes of encrypted folders.
_LONGEST_STEM, _LONGEST_SUFFIX = 96, 16
# Errors of a full, limited or read-only disk, raised as OSError or quoted in errors of TensorFlow and HDF5.
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
_tidied: set[Path] = set()


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path next to `path` that replaces it when the `with` block ends without an error.

    Readers see the old or the new file, never a partial one: renaming within a folder is atomic. The temporary name
    keeps the suffix, because many writers choose the format by it. Temporary files of killed processes are removed.

    Args:
        path: The file to write; missing parent folders are created.

    Yields:
        The path to write to; it is an empty file.

    Raises:
        UserError: The folder cannot be created or written to, or the disk is full.
    """
    path = Path(path)
    with _explained(path), _claimed(path, is_folder=False) as temporary:
        yield temporary
        os.replace(temporary, path)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder next to `path` that replaces it when the `with` block ends without an error.

    Unlike a file, an existing folder cannot be replaced in one step: it is renamed first, so for a moment neither
    exists. A partial folder is never visible.

    Args:
        path: The folder to write; missing parent folders are created.

    Yields:
        The folder to write to, empty.

    Raises:
        UserError: The folder cannot be created or written to, or the disk is full.
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
    """Return a context manager for a temporary folder next to `path`, which is removed even if the process is killed.

    After a kill, the next process that writes there removes it.
    """
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
    """Create a temporary file or folder next to a path, with a lock that ends with the process."""
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
    """Create and lock a file or folder; None if another process removed it as a leftover before it was locked."""
    if is_folder:
        path.mkdir()
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
    else:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o666)
    # Some network file systems have no locks; leftovers are not removed there.
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if path.exists():
        return descriptor
    os.close(descriptor)
    return None


def remove_leftovers(folder: str | Path) -> None:
    """Remove temporary files of killed processes from a folder; those of running processes are locked and kept."""
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
    """Return a file name, with the stem shortened if the name is too long for file systems.

    A shortened stem ends with a hash of the full stem, so that names stay unique.

    Args:
        stem: The stem of the name.
        suffix: The suffix, never shortened.
        room: Bytes to reserve for additions of the caller.

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
    """Return `stem` with `ending` appended, shortened if the name gets too long.

    Example:
        >>> beside("runs/evaluation", "_roc.png").as_posix()
        'runs/evaluation_roc.png'
    """
    return Path(stem).with_name(fitting_name(Path(stem).name, ending))


def _cut(text: str, num_bytes: int) -> str:
    """Cut a text to at most `num_bytes` bytes."""
    sizes = itertools.accumulate(len(os.fsencode(letter)) for letter in text)
    return text[: sum(size <= num_bytes for size in sizes)]


def refusal(error: BaseException) -> str | None:
    """Return the reason if an exception comes from a failed write: no space, no permission or a limit; otherwise None.

    Errors of TensorFlow and HDF5 give the reason only in their text.

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
    """Check that a folder can be written to, before long computations.

    A missing folder is not created; the nearest existing parent is checked instead.

    Raises:
        UserError: It cannot be written to, or is not a folder.
    """
    folder = Path(folder)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    with _explained(folder), tempfile.TemporaryFile(dir=existing):
        pass


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically; undecodable file names in it become their original bytes."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: str | Path, value: object) -> None:
    """Write `value` to `path` as indented JSON, atomically.

    NaN and infinity become `null`, because JSON does not allow them.
    """
    write_text(path, json.dumps(_finite(value), indent=2, allow_nan=False, default=_plain) + "\n")


def read_json(path: str | Path, hint: str) -> object:
    """Read a JSON file of the toolkit.

    Args:
        path: The file.
        hint: How to fix a damaged file, for the message.

    Raises:
        FileNotFoundError: It is missing; callers handle this differently.
        UserError: It cannot be read, or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; {hint}") from error
    except RecursionError as error:
        raise UserError(f"cannot read {path}: it is nested too deeply; {hint}") from error


def _plain(value: object) -> object:
    """Convert numpy scalars, arrays and paths to JSON types."""
    if hasattr(value, "tolist"):
        return _finite(value.tolist())
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return value

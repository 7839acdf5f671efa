"""Folder locks that allow one process at a time; the kernel releases them when a process ends or is killed."""

import atexit
import contextlib
import fcntl
import functools
import json
import os
import socket
import time
from pathlib import Path

from common import files
from common.errors import UserError

# Descriptor of each lock, and the folders that were created for it.
_held: dict[Path, tuple[int, list[Path]]] = {}


def acquire(folder: str | Path) -> None:
    """Lock a folder, which need not exist; no effect if this process already holds the lock.

    The lock file is next to the folder, so that the folder can be renamed and created again. Without write permission,
    and on file systems without locks, nothing is locked.

    Raises:
        UserError: Another process holds the lock.
    """
    path = _path(folder)
    if path in _held:
        return
    _release_at_exit()
    made = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _open_locked(path)
    except BlockingIOError as error:
        raise UserError(
            f"{folder} is in use by {_holder(path)}; wait for it, stop it, or use another folder"
        ) from error
    except OSError:
        return
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        now = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.pwrite(descriptor, json.dumps(now).encode(), 0)
    _held[path] = descriptor, made


def release(folder: str | Path) -> None:
    """Release the lock of a folder if this process holds it."""
    _release(_path(folder))


@functools.cache
def _release_at_exit() -> None:
    atexit.register(release_all)


def release_all() -> None:
    """Release all locks."""
    for path in list(_held):
        _release(path)


def release_within(folder: str | Path) -> None:
    """Release the locks of a folder and of all folders in it."""
    folder = Path(os.path.realpath(folder))
    for path in [_path(folder), *(path for path in _held if folder in path.parents)]:
        _release(path)


def _path(folder: str | Path) -> Path:
    """Return the lock file of a folder: next to it, or inside if the parent folder is not writable."""
    folder = Path(os.path.realpath(folder))
    beside = folder.with_name(files.fitting_name(f".{folder.name}", ".lock"))
    if beside.exists() or os.access(folder.parent, os.W_OK) or not folder.is_dir():
        return beside
    return folder / ".lock"


def _open_locked(path: Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except PermissionError:
            descriptor = os.open(path, os.O_RDONLY)  # created by another user
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The previous holder may have removed the file meanwhile; the lock is then useless, so try again.
            if path.exists() and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _release(path: Path) -> None:
    if path not in _held:
        return
    descriptor, made = _held.pop(path)
    with contextlib.suppress(OSError):
        path.unlink()
        for folder in made:
            folder.rmdir()
    os.close(descriptor)


def _holder(path: Path) -> str:
    """Describe the process that holds a lock."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {int(holder['pid'])} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"

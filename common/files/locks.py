"""One process at a time in a folder: a lock that the kernel takes back from a process that ends, also from a killed one."""

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

# Of each lock its descriptor, and the folders that were made for it.
_held: dict[Path, tuple[int, list[Path]]] = {}


def acquire(folder: str | Path) -> None:
    """Take the lock of a folder, which need not exist; a process that has it keeps it.

    The lock lies beside the folder, so that the folder can be moved away and made anew. Where no lock can be written, and on
    file systems that know none, there is none.

    Raises:
        UserError: Another process has it.
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
            f"{folder} is in use by {_holder(path)}; wait for it or end it, or give another folder"
        ) from error
    except OSError:
        return
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        now = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        os.pwrite(descriptor, json.dumps(now).encode(), 0)
    _held[path] = descriptor, made


def release(folder: str | Path) -> None:
    """Give the lock of a folder back, if this process has it."""
    _release(_path(folder))


@functools.cache
def _release_at_exit() -> None:
    atexit.register(release_all)


def release_all() -> None:
    """Give all locks back."""
    for path in list(_held):
        _release(path)


def _path(folder: str | Path) -> Path:
    """Return where the lock of a folder lies: beside it, or in it where nothing can be written beside it."""
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
            descriptor = os.open(path, os.O_RDONLY)  # somebody else made it
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had it may have removed it in between: then the lock is of a file that nobody else will find.
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
    """Say who holds a lock."""
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return f"process {int(holder['pid'])} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"

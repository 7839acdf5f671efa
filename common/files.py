"""Files that appear whole or not at all."""

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from common.errors import UserError


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place when the block ends well.

    A reader sees the old file or the new one, never a part: renaming within a folder is atomic. The temporary name keeps
    the suffix, because many writers choose their format by it.

    Args:
        path: The file to write; missing parent folders are made.

    Yields:
        The path to write to.

    Raises:
        UserError: The folder cannot be made or written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}; check the folder and the free space"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


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

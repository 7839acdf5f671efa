"""Checks of arguments that Python callers pass, with the messages of `UserError`."""

import inspect
import math
import numbers
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from common.errors import UserError, nearest


def number(name: str, value: Any, lowest: float, highest: float) -> float:
    """Return a number in a range, limits included.

    Raises:
        UserError: It is not a number, not finite, or out of range.

    Example:
        >>> number("threshold", 1, 0, 1)
        1.0
    """
    if _is(value, numbers.Real) and math.isfinite(value) and lowest <= value <= highest:
        return float(value)
    raise UserError(f"{name}: expected a number from {lowest:g} to {highest:g}, got {value!r}")


def whole_number(name: str, value: Any, lowest: int, highest: int) -> int:
    """Return a whole number in a range, limits included.

    Raises:
        UserError: It is not a whole number, or out of range.
    """
    if _is(value, numbers.Integral) and lowest <= value <= highest:
        return int(value)
    raise UserError(f"{name}: expected a whole number from {lowest} to {highest}, got {value!r}")


def path(name: str, value: Any) -> Path:
    """Return a path with `~` expanded.

    Raises:
        UserError: It is neither text nor a path.
    """
    if isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str):
        return Path(value).expanduser()
    raise UserError(f"{name}: expected a path, got {value!r}")


def refuse_file(run_dir: Path) -> None:
    """Refuse a file where a run directory is expected; name the run if the file is one of it.

    Raises:
        UserError: It is a file.
    """
    if run_dir.is_file():
        run = next((folder for folder in run_dir.parents if (folder / "config.json").is_file()), None)
        hint = f"give its folder: --run_dir={run}" if run else "give the folder that a training made"
        raise UserError(f"--run_dir: {run_dir} is a file, expected a run directory; {hint}")


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return one of several names.

    Raises:
        UserError: It is another value.
    """
    if isinstance(value, str) and value in choices:
        return value
    raise UserError(f"{name}: expected one of {', '.join(choices)}, got {value!r}.{nearest(str(value), choices)}")


def keywords(task: str, options: Mapping[str, Any], function: Callable) -> None:
    """Check that a function has all keyword arguments; its first parameter does not count.

    Raises:
        UserError: It has no such argument.
    """
    known = list(inspect.signature(function).parameters)[1:]
    for name in options:
        if name not in known:
            raise UserError(f"{name}: {task} has no such option, only {', '.join(known)}.{nearest(name, known)}")


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)

"""Run trainings in separate processes, and read their results."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from common.errors import UserError


def train(name: str, task: str, flags: Sequence[str], how: Sequence[str] = ()) -> None:
    """Train in a separate process, silently unless it fails.

    Args:
        name: Name of the training in error messages.
        task: The task.
        flags: Flags of its `train` command.
        how: Arguments of the interpreter instead of `-m TASK.train`.

    Raises:
        UserError: The training failed; the message has its last line.
    """
    ended = subprocess.run([sys.executable, *(how or ("-m", f"{task}.train")), *flags], capture_output=True, text=True)
    if ended.returncode:
        said = (ended.stderr.strip() or "nothing").splitlines()[-1]
        raise UserError(f"{name}: the training ended with code {ended.returncode}: {said}")


def examples_per_second(run_dir: Path) -> float:
    """Return the median speed over the epochs of a run, without the first one, which traces."""
    speeds = pd.read_csv(run_dir / "history.csv")["examples_per_second"]
    return float(speeds[1:].median())

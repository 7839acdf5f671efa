"""Run trainings in separate processes, and read their results."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from common.errors import UserError


def train(name: str, task: str, flags: Sequence[str], how: Sequence[str] = ()) -> None:
    """Train in a process of its own, without a word unless it fails.

    Args:
        name: What the training is called where it fails.
        task: The task.
        flags: Of its `train`.
        how: What the interpreter is given in place of `-m TASK.train`.

    Raises:
        UserError: The training ended with an error; with its last line.
    """
    ended = subprocess.run([sys.executable, *(how or ("-m", f"{task}.train")), *flags], capture_output=True, text=True)
    if ended.returncode:
        said = (ended.stderr.strip() or "nothing").splitlines()[-1]
        raise UserError(f"{name}: the training ended with code {ended.returncode}: {said}")


def examples_per_second(run_dir: Path) -> float:
    """Return the median speed of a run's epochs but the first, which traces."""
    speeds = pd.read_csv(run_dir / "history.csv")["examples_per_second"]
    return float(speeds[1:].median())

"""The published rows of the student report, and the runs that reproduce them; does not need TensorFlow."""

import dataclasses
from collections.abc import Sequence

import pandas as pd

from common.errors import UserError, nearest
from kws.config import VARIANTS, Config

FIGURES = tuple(f"{part}_{quantity}" for part in ("train", "validation", "test") for quantity in ("loss", "accuracy"))
# The report's table: epochs, batch size, then the metrics in the order of FIGURES.
PUBLISHED = pd.DataFrame(
    [
        (5, 128, 1.2394, 0.5721, 1.1219, 0.6382, 1.1008, 0.6646),
        (10, 64, 0.6292, 0.7894, 0.5360, 0.8300, 0.5623, 0.8161),
        (20, 64, 0.3488, 0.8877, 0.3234, 0.9009, 0.3486, 0.8878),
        (30, 64, 0.2364, 0.9228, 0.2917, 0.9046, 0.2658, 0.9146),
        (40, 64, 0.1857, 0.9393, 0.2638, 0.9114, 0.2553, 0.9165),
        (40, 32, 0.1777, 0.9415, 0.2571, 0.9161, 0.2018, 0.9362),
    ],
    columns=["epochs", "batch_size", *FIGURES],
).assign(source="published")
SPLIT_RULES = ("random", "official")
_QUICK_DIVISOR, QUICK_EXAMPLES = 5, 2000


def report_config(data_dir: str) -> Config:
    """Return what the runs of all rows have in common."""
    return dataclasses.replace(VARIANTS["report"], corpus="speech_commands", data_dir=data_dir, keep_epoch="last")


def row_name(row: tuple) -> str:
    """Return the name of a row of `PUBLISHED` in `--rows`."""
    return f"{row.epochs}x{row.batch_size}"


def row_title(row: tuple) -> str:
    """Return the title of a row of `PUBLISHED`."""
    return f"{row.epochs} epochs, batch {row.batch_size}"


def choose_rows(names: Sequence[str] | None) -> pd.DataFrame:
    """Return the rows of `PUBLISHED` named by `--rows`, or all, in the report's order.

    Raises:
        UserError: A row does not exist.
    """
    if names is None:
        return PUBLISHED
    known = [row_name(row) for row in PUBLISHED.itertuples()]
    for name in names or [""]:
        if name not in known:
            raise UserError(f"--rows: expected any of {', '.join(known)}, got {name!r}.{nearest(name, known)}")
    return PUBLISHED[[name in names for name in known]].reset_index(drop=True)


def parse_seeds(texts: Sequence[str]) -> list[int]:
    """Return the seeds of `--seeds` without duplicates.

    Raises:
        UserError: The list is empty, or a seed is not a non-negative integer.
    """
    if not texts or not all(text.isdecimal() for text in texts):
        raise UserError(f"--seeds: expected non-negative integers separated by commas, got {','.join(texts)!r}")
    return list(dict.fromkeys(int(text) for text in texts))


def row_config(report: Config, row: tuple, split_rule: str, seed: int, quick: bool) -> Config:
    """Return the configuration of a row of `PUBLISHED`."""
    config = dataclasses.replace(report, epochs=row.epochs, batch_size=row.batch_size, split_rule=split_rule, seed=seed)
    return dataclasses.replace(config, epochs=config.epochs // _QUICK_DIVISOR) if quick else config

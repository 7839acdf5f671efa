"""Splits for a corpus that has none: by speaker where speakers are known, else by recording."""

import hashlib
import logging
import os
from pathlib import Path

import pandas as pd

from common.corpora import manifest
from common.errors import UserError


def assign(table: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Fill the missing splits of a manifest, about 80 % train, 10 % validation and 10 % test.

    A speaker's hash decides, else that of the recording's path below `root`, so a growing corpus moves nobody. A class
    that is left without some split receives the speaker (or recording) with the smallest hash that its own split, in
    every class, can spare. Where a class has too few speakers for that, its recordings are divided one by one, and a
    warning says so.

    Splits that are given stay. If some rows are `train` and no row is `validation` (or `test`), the missing one is
    drawn from `train`.

    Args:
        table: A manifest; `split` may be empty.
        root: The folder that paths are relative to.

    Returns:
        The manifest with every split filled in.

    Raises:
        UserError: A class has fewer recordings than splits to draw.
    """
    given = set(table["split"]) - {""}
    wanted = [split for split in manifest.SPLITS if split not in given or split == "train"]
    if given and ("train" not in given or wanted == ["train"]):
        return table
    rows = table[table["split"].isin(["", "train"])]
    _check_counts(rows, len(wanted), root)
    files = rows["path"].map(lambda path: Path(os.path.relpath(path, root)).as_posix())
    keys = rows["speaker"].where(rows["speaker"] != "", files)
    by_file = {label for label, own in keys.groupby(rows["label"]) if own.nunique() < len(wanted)}
    while True:
        used = keys.where(~rows["label"].isin(by_file), files)
        chosen, uncovered = _choose(used, rows["label"], wanted)
        if not uncovered - by_file:
            break
        by_file |= uncovered
    if by_file:
        logging.warning(
            "%s: too few speakers to keep them apart between splits, so recordings are divided one by one: %s",
            root,
            ", ".join(sorted(by_file)),
        )
    return table.assign(split=used.map(chosen).reindex(table.index).fillna(table["split"]))


def _check_counts(rows: pd.DataFrame, num_wanted: int, root: Path) -> None:
    counts = rows["label"].value_counts()
    few = counts[counts < num_wanted].sort_index()
    if len(few):
        listed = ", ".join(f'"{label}" has {count}' for label, count in few.head(5).items())
        raise UserError(
            f"too few recordings in {root}: {listed}; expected at least {num_wanted} of each class, one a split: "
            "add some, remove the class, or put all classes under a folder named test to evaluate only"
        )


def _choose(keys: pd.Series, labels: pd.Series, wanted: list[str]) -> tuple[dict[str, str], set[str]]:
    """Return the split of every key, and the classes that could not be given all splits."""
    percents = {f"{name}_percent": 10.0 if name in wanted else 0.0 for name in ("validation", "test")}
    chosen = {key: manifest.hash_split(key, **percents) for key in keys.unique()}
    members = {label: sorted(own.unique(), key=_hash) for label, own in keys.groupby(labels)}
    classes = {key: list(own.unique()) for key, own in labels.groupby(keys)}

    def can_spare(key: str) -> bool:
        return all(
            any(chosen[other] == chosen[key] for other in members[label] if other != key) for label in classes[key]
        )

    uncovered = set()
    for label, own in members.items():
        for split in wanted:
            if any(chosen[key] == split for key in own):
                continue
            donor = next((key for key in own if can_spare(key)), None)
            if donor is None:
                uncovered.add(label)
            else:
                chosen[donor] = split
    return chosen, uncovered


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8")).hexdigest()

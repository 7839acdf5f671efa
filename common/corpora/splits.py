"""Splits for a corpus without official ones: by speaker (or singer) if known, else by track, else by recording."""

import os
from pathlib import Path

import pandas as pd

from common.corpora import manifest
from common.errors import UserError
from common.log import logger


def assign(table: pd.DataFrame, root: Path, draw_missing: bool = True) -> pd.DataFrame:
    """Fill the missing splits of a manifest, about 80 % train, 10 % validation and 10 % test.

    The split depends on the hash of the speaker, else of the track, else of the recording's path below `root`. Adding
    recordings to a corpus therefore does not move others. If a class lacks a split, the speaker (or recording) with the
    smallest hash is moved there, unless it is the only one of its split in some class. If a class has too few speakers
    for that, its recordings are split individually, with a warning.

    Given splits are kept. If some rows are `train` and no row is `validation` (or `test`), the missing split is taken
    from `train`.

    Args:
        table: A manifest; `split` may be empty.
        root: The folder that paths are relative to.
        draw_missing: Whether to fill a split without rows from `train`.

    Returns:
        The manifest with every split filled in.

    Raises:
        UserError: A class has fewer recordings than splits to fill.
    """
    given = set(table["split"]) - {""}
    wanted = [split for split in manifest.SPLITS if split not in given or split == "train"]
    is_whole = "" not in set(table["split"])
    if given and is_whole and ("train" not in given or wanted == ["train"] or not draw_missing):
        return table
    if given and wanted == ["train"]:
        return table.assign(split=table["split"].where(table["split"] != "", "train"))
    rows = table[table["split"].isin(["", "train"])]
    _check_counts(rows, len(wanted), root)
    files = rows["path"].map(lambda path: Path(os.path.relpath(path, root)).as_posix())
    keys = rows["speaker"].where(rows["speaker"] != "", rows["track"].where(rows["track"] != "", files))
    by_file = {label for label, own in keys.groupby(rows["label"]) if own.nunique() < len(wanted)}
    while True:
        used = keys.where(~rows["label"].isin(by_file), files)
        chosen, uncovered = _choose(used, rows["label"], wanted)
        if not uncovered - by_file:
            break
        by_file |= uncovered
    if by_file:
        logger.warning(
            "%s: too few speakers for disjoint splits; recordings are split individually in: %s",
            root,
            ", ".join(sorted(by_file)),
        )
    return table.assign(split=used.map(chosen).reindex(table.index).fillna(table["split"]))


def deal(names: pd.Series, num_folds: int) -> pd.Series:
    """Assign groups of rows to folds of similar size: the largest group first, each to the smallest fold.

    `sklearn.model_selection.GroupKFold` works in the same way, but its order of equally large groups is undocumented
    and has changed: with the names in reverse order, 1.9 gave the same folds in 1,956 of 1,956 random cases, the
    sorting used up to 1.8 in 79. The test set of a run must not depend on that. `GroupKFold` also rejects fewer groups
    than folds.

    Args:
        names: The group of each row; a group stays in one fold.
        num_folds: Number of folds.

    Returns:
        The fold of each row, 0 to `num_folds - 1`, under the index of `names`.

    Example:
        >>> deal(pd.Series(["anna", "anna", "anna", "bert", "carl", "bert"]), 2).tolist()
        [0, 0, 0, 1, 1, 1]
    """
    sizes = [0] * num_folds
    chosen = {}
    for name, count in sorted(names.value_counts().items(), key=lambda item: (-item[1], item[0])):
        chosen[name] = sizes.index(min(sizes))
        sizes[chosen[name]] += count
    return names.map(chosen)


def assign_folds(table: pd.DataFrame, num_folds: int, fold: int) -> pd.DataFrame:
    """Split a manifest by speakers for cross-validation: one fold is `test`, the next `validation`, the others `train`.

    Given splits are ignored. Recordings without a speaker are assigned individually, per class.

    Args:
        table: A manifest.
        num_folds: Number of folds, at least 3.
        fold: The fold that becomes `test`.

    Returns:
        The manifest with its splits.

    Raises:
        UserError: There are fewer speakers than folds.
    """
    spoken = table[table["speaker"] != ""]
    if spoken["speaker"].nunique() < num_folds:
        raise UserError(
            f"{spoken['speaker'].nunique()} speakers are too few for {num_folds} folds; name files"
            " <speaker>_nohash_<n>.wav, give a metadata.csv with speakers, or reduce --num_folds"
        )
    anonymous = table[table["speaker"] == ""]
    dealt = [deal(spoken["speaker"], num_folds)]
    dealt += [deal(rows["path"], num_folds) for _, rows in anonymous.groupby("label", sort=True)]
    names = {fold: "test", (fold + 1) % num_folds: "validation"}
    return table.assign(split=pd.concat(dealt).map(lambda number: names.get(number, "train")))


def _check_counts(rows: pd.DataFrame, num_wanted: int, root: Path) -> None:
    counts = rows["label"].value_counts()
    few = counts[counts < num_wanted].sort_index()
    if len(few):
        listed = ", ".join(f'"{label}" has {count}' for label, count in few.head(5).items())
        raise UserError(
            f"too few recordings in {root}: {listed}; expected at least {num_wanted} of each class, one per split: "
            "add recordings, remove the class, or put all classes into a folder named test to evaluate only"
        )


def _choose(keys: pd.Series, labels: pd.Series, wanted: list[str]) -> tuple[dict[str, str], set[str]]:
    """Return the split of every key, and the classes for which not all splits could be filled."""
    percents = {
        f"{name}_percent": manifest.HELD_OUT_PERCENT if name in wanted else 0.0 for name in ("validation", "test")
    }
    chosen = {key: manifest.hash_split(key, **percents) for key in keys.unique()}
    members = {label: sorted(own.unique(), key=manifest.name_hash) for label, own in keys.groupby(labels)}
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

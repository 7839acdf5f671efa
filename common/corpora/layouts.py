"""Recognise the meaning of folder names: splits, and signs of a layout other than the expected one."""

import re
from collections.abc import Collection
from pathlib import Path

from common.audio import listing
from common.errors import UserError
from common.files.names import plain_name

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}

SUBSETS, FOLDS, SPLITS, SPEAKERS = "LibriSpeech's subsets", "folds", "splits", "speakers"
_MEANT = {
    SUBSETS: r"(train|dev|test)-(clean|other)(-\d+)?",
    FOLDS: r"(fold|split|cv|partition)[-_ ]?\d+|\d+[-_ ]?fold",
    SPLITS: rf"({'|'.join(SPLIT_NAMES)}|tr|cv|tt)([-_ .].*|set|data)?",
    SPEAKERS: r"\d+|(speaker|spkr?|sp|talker|actor|subject|subj|participant|person|user|client|reader|singer|voice|id|[psmf])"
    r"[-_ ]?\d+|[fm][a-z]{3}\d|cmu_us_.+|(?=.*\d)[0-9a-f]{8,}",
}
_SHOWN = 3


def split_of(name: str) -> str:
    """Return the split that a folder name stands for, or empty.

    Example:
        >>> split_of("Eval"), split_of("yes")
        ('test', '')
    """
    return SPLIT_NAMES.get(name.lower(), "")


def looks_like(names: Collection[str]) -> str:
    """Return which layout the folder names suggest: one of the constants above, or empty.

    Example:
        >>> looks_like(["fold1", "fold2"]), looks_like(["p225", "p226"]), looks_like(["yes", "no"])
        ('folds', 'speakers', '')
    """
    if all(map(split_of, names)):
        return ""
    for meaning, pattern in _MEANT.items():
        matches = [re.fullmatch(pattern, name.lower()) for name in names]
        if all(matches) and (meaning != SPLITS or len({match[1] for match in matches}) > 1):
            return meaning
    return ""


def shown(names: Collection[str]) -> str:
    """List the first few names, for messages."""
    return ", ".join(sorted(names)[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def refuse_splits_and_folds(root: Path, names: Collection[str], expected: str) -> None:
    """Reject a root whose folders look like folds, LibriSpeech subsets, or splits with unknown names.

    Args:
        root: The folder.
        names: Names of the folders in it that contain recordings.
        expected: The expected folders, for the message.

    Raises:
        UserError: The names look like folds, subsets or splits.
    """
    meaning = looks_like(names)
    if meaning in (FOLDS, SPLITS, SUBSETS):
        raise UserError(
            f"{root}: its folders look like {meaning} ({shown(names)}); expected {expected}: rename them to train,"
            " validation and test, or merge their contents into one folder"
        )


def refuse_one_too_high(root: Path, paths: Collection[tuple[str, ...]], what: str) -> None:
    """Reject a root whose only folder contains the split folders: the splits would be ignored and mixed.

    Args:
        root: The folder.
        paths: For each recording, the names of its folders below the root.
        what: The expected contents of the root, for the message.

    Raises:
        UserError: The split folders are one level deeper.
    """
    above = {path[0] for path in paths if path}
    below = {split_of(path[1]) for path in paths if len(path) > 1}
    if len(above) == 1 and not split_of(*above) and "" not in below and len(below) > 1:
        raise UserError(
            f"{root} has one folder, {above.pop()}, with the splits inside; expected {what} or splits: give the folder"
            f" {inner(root, paths)}"
        )


def inner(root: Path, paths: Collection[tuple[str, ...]]) -> Path:
    """Return the path of the first folder in a root, with the name that it has on disk."""
    name = next(path[0] for path in paths if path)
    return next((folder for folder in listing.folders(root) if plain_name(folder.name) == name), root / name)

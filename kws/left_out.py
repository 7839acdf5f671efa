"""Which recordings are left out together, to estimate an accuracy from the few that train.

A speaker's recordings are left out together, so that the estimate is that for other speakers. Where speakers are not
named, or only one speaks, single recordings are left out, and the estimate is that for the same speakers.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from kws import other_words

MAX_FOLDS = 10
# Rows of these corpora are fitted, and never left out: the estimate is that for recordings.
SYNTHETIC = ("synthetic", other_words.NEAR)
_NEVER = -1


class LeftOut(NamedTuple):
    """Folds of recordings; each fold is left out once.

    Attributes:
        folds: The fold of each recording, shape `(recordings,)`; -1 if it is never left out.
        how: What is left out, e.g. "leave one speaker out"; empty if nothing can be.
    """

    folds: np.ndarray
    how: str

    @property
    def scored(self) -> np.ndarray:
        """Whether each recording is left out once, shape `(recordings,)`."""
        return self.folds != _NEVER

    def numbers(self) -> range:
        """Return the numbers of the folds."""
        return range(int(self.folds.max(initial=_NEVER)) + 1)


def divide(table: pd.DataFrame) -> LeftOut:
    """Divide recordings into at most `MAX_FOLDS` folds.

    Recordings are never left out if they are synthetic, or if nothing else of their class would be left to learn from.

    Args:
        table: A manifest with `corpus`; `label` is the class.
    """
    recorded = ~table["corpus"].isin(SYNTHETIC).to_numpy()
    by_speaker = _groups(table, recorded, table["speaker"])
    by_recording = _groups(table, recorded, pd.Series("", table.index))
    # Speakers are left out unless that leaves nothing of a word of which another recording would remain.
    named = (table["speaker"][recorded] != "").any()
    speakers = named and (_num_groups(table, by_speaker) >= np.minimum(2, _num_groups(table, by_recording))).all()
    groups, what = (by_speaker, "speaker") if speakers else (by_recording, "recording")
    alone = _num_groups(table, groups) < 2
    groups = groups.where(recorded & ~alone, "")
    folds = _deal(groups, table["label"])
    if folds.max(initial=_NEVER) < 0:
        return LeftOut(folds, "")
    for fold in range(folds.max() + 1):
        left = set(table["label"][folds != fold])
        folds[(folds == fold) & ~table["label"].isin(left).to_numpy()] = _NEVER
    number = groups[groups != ""].nunique()
    how = f"leave one {what} out" if number <= MAX_FOLDS else f"leave one of {MAX_FOLDS} groups of {what}s out"
    return LeftOut(folds, how)


def _groups(table: pd.DataFrame, recorded: np.ndarray, speakers: pd.Series) -> pd.Series:
    """Name what has to be left out together: a speaker, or a file; excerpts, where a class has only one file."""
    groups = ("speaker " + speakers).where(speakers != "", "file " + table["path"])
    alone = (table["label"].map(groups.groupby(table["label"]).nunique()) < 2) & (speakers == "")
    return groups.where(~alone, groups + " at " + table["start"].astype(str)).where(recorded, "")


def _num_groups(table: pd.DataFrame, groups: pd.Series) -> np.ndarray:
    """Return how many groups the class of each row has."""
    counts = groups[groups != ""].groupby(table["label"]).nunique()
    return table["label"].map(counts).fillna(0).to_numpy()


def _deal(groups: pd.Series, labels: pd.Series) -> np.ndarray:
    """Deal groups to folds: the largest first, each to the fold with the fewest of its words, then the smallest fold.

    `sklearn.model_selection.StratifiedGroupKFold` does the same, but refuses fewer recordings of a word than folds.
    """
    names = groups[groups != ""]
    num_folds = min(MAX_FOLDS, names.nunique())
    counts = [dict.fromkeys(labels.unique(), 0) for _ in range(num_folds)]
    chosen = {"": _NEVER}
    for name, _ in sorted(names.value_counts().items(), key=lambda item: (-item[1], item[0])):
        own = labels[groups == name].value_counts()
        loads = [(max(count[label] for label in own.index), sum(count.values())) for count in counts]
        chosen[name] = loads.index(min(loads))
        for label, size in own.items():
            counts[chosen[name]][label] += size
    return np.array(groups.map(chosen), np.int64)

"""Folds for cross-validation; the splits by hash are tested with the folders that need them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold

from common.corpora import manifest, splits
from common.errors import UserError


@pytest.fixture
def table():
    """Speakers of 1 to 20 clips in three words, and ten recordings of silence by nobody."""
    rows = [
        {"path": f"/corpus/{word}/s{speaker}_{take}.wav", "label": word, "speaker": f"s{speaker}", "split": "train"}
        for speaker in range(20)
        for take in range(speaker + 1)
        for word in ("yes", "no", "up")
    ]
    rows += [{"path": f"/corpus/_silence_/{number}.wav", "label": "_silence_"} for number in range(10)]
    return manifest.from_rows(rows)


def test_every_row_is_tested_once_and_validated_once(table):
    folds = [splits.assign_folds(table, 5, fold)["split"] for fold in range(5)]
    for split in ("test", "validation"):
        assert (sum((fold == split).astype(int) for fold in folds) == 1).all()
    assert (folds[0] == "validation").equals(folds[1] == "test")


def test_folds_keep_speakers_apart_and_are_about_equal(table):
    for fold in range(5):
        split = splits.assign_folds(table, 5, fold)
        spoken = split[split["speaker"] != ""]
        assert (spoken.groupby("speaker")["split"].nunique() == 1).all()
        assert (spoken["split"] == "test").sum() == pytest.approx(len(spoken) / 5, rel=0.1)
        assert ((split["label"] == "_silence_") & (split["split"] == "test")).sum() == 2


def test_folds_depend_neither_on_given_splits_nor_on_the_order_of_rows(table):
    expected = splits.assign_folds(table, 4, 1)["split"]
    shuffled = table.assign(split="test").sample(len(table), random_state=0)
    pd.testing.assert_series_equal(splits.assign_folds(shuffled, 4, 1)["split"].sort_index(), expected)


def test_fewer_speakers_than_folds_are_refused(table):
    with pytest.raises(UserError, match="2 speakers are too few for 3 folds"):
        splits.assign_folds(table[table["speaker"].isin(["s0", "s1"])], 3, 0)


def test_folds_are_as_large_as_those_of_scikit_learn(rng):
    for num_folds in (2, 3, 5, 7):
        names = pd.Series([f"s{number}" for number in rng.zipf(1.5, 400) % 60])
        theirs = [len(rows) for _, rows in GroupKFold(num_folds).split(names, groups=names)]
        assert np.bincount(splits.deal(names, num_folds), minlength=num_folds).tolist() == theirs


def test_of_equal_groups_the_first_name_goes_to_the_first_fold():
    """Written out: what runs were tested on does not change with a version of anything."""
    names = pd.Series(["d", "c", "b", "a", "e", "e"])
    assert splits.deal(names, 3).tolist() == [2, 1, 2, 1, 0, 0]
    assert splits.deal(names[:2], 3).tolist() == [1, 0]

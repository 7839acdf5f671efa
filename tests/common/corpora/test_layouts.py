"""What folders mean by their names."""

import pytest

from common.corpora import layouts
from common.errors import UserError


def test_splits_have_many_names():
    names = {
        "train": ("train", "Training"),
        "validation": ("validation", "VALID", "val", "dev", "development"),
        "test": ("test", "testing", "eval", "Evaluation"),
    }
    assert all(layouts.split_of(name) == split for split, own in names.items() for name in own)
    assert layouts.split_of("trains") == ""


@pytest.mark.parametrize(
    ("names", "meaning"),
    [
        (("0", "17", "103"), layouts.SPEAKERS),
        (("speaker_01", "Speaker_02"), layouts.SPEAKERS),
        (("spk3", "spk4"), layouts.SPEAKERS),
        (("p225", "s5"), layouts.SPEAKERS),
        (("FCJF0", "MDAB0"), layouts.SPEAKERS),
        (("id10270", "Actor_01"), layouts.SPEAKERS),
        (("fold1", "fold_2", "Fold 3"), layouts.FOLDS),
        (("5fold",), layouts.FOLDS),
        (("train-clean-100", "dev-other"), layouts.SUBSETS),
        (("train_set", "test_set"), layouts.SPLITS),
        (("tr", "cv", "tt"), layouts.SPLITS),
        (("train", "validation", "test"), ""),
        (("yes", "no"), ""),
        (("one", "2"), ""),
        (("testify",), ""),
        (("test_me", "test"), ""),
        (("cafe", "decade"), ""),
    ],
)
def test_what_folders_look_like(names, meaning):
    assert layouts.looks_like(names) == meaning


def test_splits_one_folder_too_deep_are_told(tmp_path):
    paths = [("corpus", "train", "a"), ("corpus", "test", "b")]
    (tmp_path / "corpus").mkdir()
    with pytest.raises(UserError, match=f"give the folder {tmp_path}/corpus"):
        layouts.refuse_one_too_high(tmp_path, paths, "tracks")
    layouts.refuse_one_too_high(tmp_path, [("train", "a"), ("test", "b")], "tracks")
    layouts.refuse_one_too_high(tmp_path, [("corpus", "train"), ("corpus", "song")], "tracks")
    layouts.refuse_one_too_high(tmp_path, [()], "tracks")

"""ESC-50 and its relatives."""

import pytest

from common.corpora import esc50
from common.errors import UserError

HEADER = "filename,fold,target,category,esc10,src_file,take\n"


def _corpus(root, num_folds, suffix=".wav"):
    (root / "audio").mkdir()
    (root / "meta").mkdir()
    lines = [
        f"{fold}-{fold}0{n}-A-0.wav,{fold},0,dog,True,{fold}0{n},A\n"
        for fold in range(1, num_folds + 1)
        for n in (1, 2)
    ]
    (root / "meta" / "esc50.csv").write_text(HEADER + "".join(lines) + "1-999-A-0.wav,1,0,dog,True,999,A\n")
    for line in lines:
        (root / "audio" / line.split(",")[0]).with_suffix(suffix).touch()
    return root


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_the_last_folds_are_validation_and_test(tmp_path, suffix):
    table = esc50.index(_corpus(tmp_path, 5, suffix))
    folds = {split: set(rows["path"].str.rpartition("/")[2].str[0]) for split, rows in table.groupby("split")}
    assert folds == {"train": {"1", "2", "3"}, "validation": {"4"}, "test": {"5"}}
    # The tenth row of the table, whose recording is not there, is left out.
    assert len(table) == 10 and set(table["label"]) == {"dog"} and "999" not in set(table["speaker"])


def test_the_real_pack_has_its_sources_apart(real_data):
    table = esc50.index(real_data / "esc10")
    assert table["split"].value_counts().to_dict() == {"train": 30, "validation": 30, "test": 30}
    assert table["label"].nunique() == 10
    assert table.groupby("speaker")["split"].nunique().max() == 1


def test_what_is_not_the_corpus_is_told(tmp_path):
    with pytest.raises(UserError, match="is not ESC-50; expected audio/"):
        esc50.index(tmp_path)
    _corpus(tmp_path, 2)
    with pytest.raises(UserError, match="recordings of 2 folds; expected at least three"):
        esc50.index(tmp_path)
    (tmp_path / "meta" / "esc50.csv").write_text("file,class\na,b\n")
    with pytest.raises(UserError, match="cannot read .*esc50.csv.*expected the columns"):
        esc50.index(tmp_path)


@pytest.mark.parametrize("fold", ["9" * 30, "one", ""])
def test_a_fold_that_is_no_number_is_told(tmp_path, fold):
    root = _corpus(tmp_path, 5)
    path = root / "meta" / "esc50.csv"
    path.write_text(path.read_text().replace(",3,", f",{fold},"))
    with pytest.raises(UserError, match="cannot read .*esc50.csv"):
        esc50.index(root)


def test_a_recording_that_is_named_twice_is_told(tmp_path):
    path = _corpus(tmp_path, 5) / "meta" / "esc50.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1].replace(",1,0", ",5,0") + "\n")
    with pytest.raises(UserError, match="lists 1-101-A-0.wav more than once"):
        esc50.index(tmp_path)

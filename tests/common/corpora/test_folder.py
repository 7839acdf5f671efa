"""A user's own recordings, in all the ways people lay them out."""

import hashlib

import numpy as np
import pytest

from common import audio
from common.corpora import folder, manifest
from common.errors import UserError


def _touch(root, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def _numbered(pattern, count):
    return [pattern.format(number) for number in range(count)]


def test_a_folder_is_a_class_and_small_classes_are_in_every_split(tmp_path):
    _touch(tmp_path, _numbered("yes/{}.wav", 3) + _numbered("no/deep/er/{}.flac", 4) + _numbered("go/{}.mp3", 200))
    _touch(tmp_path, ["README.md", "empty/notes.txt", ".hidden/a.wav", "yes/.hidden/a.wav", "yes/._1.wav"])
    table = folder.index(tmp_path)
    assert table["label"].value_counts().to_dict() == {"go": 200, "no": 4, "yes": 3}
    assert (table.groupby("label")["split"].nunique() == 3).all()
    shares = table[table["label"] == "go"]["split"].value_counts() / 200
    np.testing.assert_allclose([shares["train"], shares["validation"], shares["test"]], [0.8, 0.1, 0.1], atol=0.06)


def test_the_smallest_hashes_fill_the_splits_that_a_class_lacks(tmp_path):
    names = [name for name in _numbered("yes/{}.wav", 30) if manifest.hash_split(name) == "train"][:6]
    first, second, *others = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    table = folder.index(_touch(tmp_path, names))
    splits = {row.path[len(str(tmp_path)) + 1 :]: row.split for row in table.itertuples()}
    assert splits == {first: "validation", second: "test", **dict.fromkeys(others, "train")}


def test_a_growing_corpus_moves_nobody(tmp_path):
    _touch(tmp_path, _numbered("yes/{}.wav", 300) + _numbered("no/{}.wav", 300))
    before = folder.index(tmp_path).set_index("path")["split"]
    _touch(tmp_path, _numbered("yes/new{}.wav", 100) + _numbered("more/{}.wav", 3))
    after = folder.index(tmp_path).set_index("path")["split"]
    assert (after[before.index] == before).all()


def test_the_split_does_not_depend_on_where_the_folder_lies(tmp_path):
    names = _numbered("yes/{}.wav", 40)
    here, there = _touch(tmp_path / "here", names), _touch(tmp_path / "over" / "there", names)
    assert folder.index(here)["split"].tolist() == folder.index(there)["split"].tolist()


def test_speakers_stand_on_one_side(tmp_path, caplog):
    names = [
        f"{word}/s{speaker}_nohash_{take}.wav" for word in ("yes", "no") for speaker in range(5) for take in (0, 1)
    ]
    table = folder.index(_touch(tmp_path, names))
    assert table.groupby("speaker")["split"].nunique().max() == 1
    assert (table.groupby("label")["split"].nunique() == 3).all() and not caplog.messages


def test_too_few_speakers_are_divided_by_recording_with_a_warning(tmp_path, caplog):
    names = [
        f"{word}/s{speaker}_nohash_{take}.wav" for word in ("yes", "no") for speaker in (1, 2) for take in range(9)
    ]
    table = folder.index(_touch(tmp_path, names))
    assert (table.groupby("label")["split"].nunique() == 3).all()
    assert len(caplog.messages) == 1 and "too few speakers" in caplog.messages[0] and "no, yes" in caplog.messages[0]


def test_folders_named_after_splits_are_splits(tmp_path):
    table = folder.index(
        _touch(tmp_path, ["Train/yes/1.wav", "train/no/1.wav", "val/yes/deep/2.wav", "test/yes/3.wav"])
    )
    rows = {(row.split, row.label, row.path.rpartition("/")[2]) for row in table.itertuples()}
    assert rows == {
        ("train", "yes", "1.wav"),
        ("train", "no", "1.wav"),
        ("validation", "yes", "2.wav"),
        ("test", "yes", "3.wav"),
    }


def test_train_stays_whole_where_no_other_split_is_wanted(tmp_path):
    _touch(tmp_path, ["train/yes/1.wav", "train/no/2.wav"])
    assert set(folder.index(tmp_path, draw_missing=False)["split"]) == {"train"}


def test_a_split_that_is_missing_is_drawn_from_train(tmp_path):
    _touch(tmp_path, _numbered("train/yes/{}.wav", 50) + _numbered("test/yes/t{}.wav", 2))
    table = folder.index(tmp_path)
    assert set(table[table["path"].str.contains("/test/")]["split"]) == {"test"}
    assert set(table[table["path"].str.contains("/train/")]["split"]) == {"train", "validation"}
    counts = table["split"].value_counts()
    assert counts["test"] == 2 and 1 <= counts["validation"] <= 12


def test_a_lone_test_folder_is_all_test(tmp_path):
    assert set(folder.index(_touch(tmp_path, ["test/yes/1.wav", "test/no/1.wav"]))["split"]) == {"test"}


def test_a_class_named_like_a_split_is_a_class(tmp_path):
    table = folder.index(_touch(tmp_path, _numbered("test/{}.wav", 3) + _numbered("yes/{}.wav", 3)))
    assert set(table["label"]) == {"test", "yes"} and (table.groupby("label")["split"].nunique() == 3).all()


def test_noise_is_divided_in_time(tmp_path):
    _touch(tmp_path, _numbered("yes/{}.wav", 3))
    audio.write(tmp_path / "_background_noise_" / "n.wav", np.zeros(20 * 8000), 8000)
    table = folder.index(tmp_path)
    noise = table[table["label"] == "_background_noise_"]
    assert noise["split"].tolist() == ["train", "validation", "test"] and noise["start"].tolist() == [0.0, 16.0, 18.0]


def _table(root, text):
    root.mkdir(exist_ok=True)
    (root / "metadata.csv").write_text(text, encoding="utf-8")
    return root


def test_a_table_tells_label_speaker_split_and_sex(tmp_path):
    text = "\ufefffile, Label,speaker,split,sex\na/1.wav,sí,p1,train,f\na/2.wav,no,p2,dev,Male\nb/3.wav,NA,p3,test,\n"
    table = folder.index(_table(tmp_path, text))
    assert table[["label", "speaker", "split", "sex"]].to_numpy().tolist() == [
        ["sí", "p1", "train", "F"],
        ["no", "p2", "validation", "M"],
        ["NA", "p3", "test", ""],
    ]
    assert table["path"][0] == str(tmp_path / "a" / "1.wav")


def test_a_table_without_splits_has_them_drawn(tmp_path):
    lines = "".join(f"{number}.wav,{'yes' if number < 9 else 'no'}\n" for number in range(18))
    table = folder.index(_table(tmp_path, "file,label\n" + lines))
    assert (table.groupby("label")["split"].nunique() == 3).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected CSV with the columns file,label"),
        ("name,label\na.wav,yes\n", "lacks the columns file"),
        ("file,label\n", "names no recordings"),
        ("file,label\na.wav,yes\na.wav,no\n", "names a.wav more than once"),
        ("file,label\na.wav,\n", "line 2 has no file or no label"),
        ("file,label,split\na.wav,yes,trian\n", 'line 2 has the split "trian"; expected test, train, validation'),
        ("file,label,sex\na.wav,yes,x\n", 'line 2 has the sex "x"; expected F, M'),
        ("file,label,split\na.wav,yes,train\nb.wav,yes,\n", "gives a split for 1 of 2 recordings"),
    ],
)
def test_a_table_that_means_nothing_is_told(tmp_path, text, words):
    with pytest.raises(UserError) as caught:
        folder.index(_table(tmp_path, text))
    assert words in str(caught.value), caught.value


def test_a_class_that_is_too_small_is_named(tmp_path):
    _touch(tmp_path, _numbered("yes/{}.wav", 5) + ["no/1.wav"])
    with pytest.raises(UserError, match='"no" has 1; expected at least 3 of each class'):
        folder.index(tmp_path)


def test_what_is_no_folder_of_classes_is_told(tmp_path, caplog):
    with pytest.raises(UserError, match="missing is not a folder; expected one folder per class"):
        folder.index(tmp_path / "missing")
    with pytest.raises(UserError, match=r"has no recordings; expected one folder per class .*\.wav \.flac"):
        folder.index(_touch(tmp_path, ["yes/notes.txt"]))
    with pytest.raises(UserError, match="has 1 recordings but no class folders"):
        folder.index(_touch(tmp_path, ["1.wav"]))
    _touch(tmp_path, _numbered("yes/{}.wav", 3))
    assert len(folder.index(tmp_path)) == 3
    assert len(caplog.messages) == 1 and "1 recordings outside the class folders are left out" in caplog.messages[0]


def test_split_folders_in_disorder_are_told(tmp_path):
    with pytest.raises(UserError, match="split folders .* beside others"):
        folder.index(_touch(tmp_path / "a", ["train/yes/1.wav", "test/yes/1.wav", "other/1.wav"]))
    with pytest.raises(UserError, match="lies outside a class folder"):
        folder.index(_touch(tmp_path / "b", ["train/1.wav", "test/yes/1.wav"]))

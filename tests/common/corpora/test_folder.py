"""A user's own recordings, in all the ways people lay them out."""

import hashlib

import numpy as np
import pytest

from common import audio
from common.corpora import folder, manifest
from common.errors import UserError
from tests.errors import refused


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
    table = folder.index(_touch(tmp_path, names), words=["yes"])
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
    here, there = (folder.index(root, words=["yes"])["split"].tolist() for root in (here, there))
    assert here == there


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


def test_without_drawing_splits_a_class_may_have_one_recording_and_given_splits_stay(tmp_path):
    _touch(tmp_path / "words", ["yes/1.wav", "no/2.wav", "no/3.wav"])
    assert folder.index(tmp_path / "words", draw_splits=False)["split"].tolist() == ["train"] * 3
    _touch(tmp_path / "split", ["train/yes/1.wav", "train/no/2.wav", "test/yes/3.wav"])
    table = folder.index(tmp_path / "split", draw_splits=False).set_index("label")
    assert sorted(table.loc["yes", "split"]) == ["test", "train"] and table.loc["no", "split"] == "train"


def test_a_split_that_is_missing_is_drawn_from_train(tmp_path):
    _touch(tmp_path, _numbered("train/yes/{}.wav", 50) + _numbered("test/yes/t{}.wav", 2))
    table = folder.index(tmp_path, words=["yes"])
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
    table = folder.index(tmp_path, words=["yes"])
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
        ("file,label\n", "lists no recordings"),
        ("file,label\na.wav,yes\na.wav,no\n", "lists a.wav more than once"),
        ("file,label\na.wav,\n", "line 2 has no file or no label"),
        ("file,label,split\na.wav,yes,trian\n", 'line 2 has the split "trian"; expected test, train, validation'),
        ("file,label,sex\na.wav,yes,x\n", 'line 2 has the sex "x"; expected F, M'),
        ("file,label,split\na.wav,yes,train\nb.wav,yes,\n", "gives a split for 1 of 2 recordings"),
    ],
)
def test_a_table_that_means_nothing_is_told(tmp_path, text, words):
    with pytest.raises(UserError) as caught:
        folder.index(_table(tmp_path, text))
    assert words in caught.value.command_line, caught.value


def test_a_class_that_is_too_small_is_named(tmp_path):
    _touch(tmp_path, _numbered("yes/{}.wav", 5) + ["no/1.wav"])
    with pytest.raises(UserError, match='"no" has 1; expected at least 3 of each class'):
        folder.index(tmp_path)


def test_what_is_no_folder_of_classes_is_told(tmp_path, caplog):
    with pytest.raises(UserError, match="missing is not a folder; expected one folder per class"):
        folder.index(tmp_path / "missing")
    with pytest.raises(UserError, match=r"has no recordings; expected one folder per class .*\.wav, \.flac"):
        folder.index(_touch(tmp_path, ["yes/notes.txt"]))
    with pytest.raises(UserError, match="has 1 recordings but no class folders"):
        folder.index(_touch(tmp_path, ["1.wav"]))
    _touch(tmp_path, _numbered("yes/{}.wav", 3))
    assert len(folder.index(tmp_path, words=["yes"])) == 3
    assert len(caplog.messages) == 1 and "1 recordings outside the class folders are left out" in caplog.messages[0]


def test_split_folders_in_disorder_are_told(tmp_path):
    with pytest.raises(UserError, match="mixes split folders .* with others"):
        folder.index(_touch(tmp_path / "a", ["train/yes/1.wav", "test/yes/1.wav", "other/1.wav"]))
    with pytest.raises(UserError, match="is outside a class folder"):
        folder.index(_touch(tmp_path / "b", ["train/1.wav", "test/yes/1.wav"]))


def test_one_split_beside_classes_is_told(tmp_path):
    for word in ("yes", "no"):
        _touch(tmp_path, [f"{word}/1.wav", f"{word}/2.wav", f"test/{word}/3.wav"])
    with pytest.raises(
        UserError, match=r"test looks like a split folder, next to classes \(no, yes\); move those into"
    ):
        folder.index(tmp_path)


def test_a_recording_in_two_formats_is_taken_once(tmp_path, caplog):
    for word in ("yes", "no"):
        _touch(tmp_path, [f"{word}/{number}{suffix}" for number in range(4) for suffix in (".wav", ".mp3")])
    table = folder.index(tmp_path)
    assert len(table) == 8 and table["path"].str.endswith(".wav").all()
    assert "left out 8 recordings that also exist in another format" in caplog.text


def test_splits_may_have_other_names_and_noise_beside_them_or_inside(tmp_path):
    for word in ("yes", "no"):
        _touch(tmp_path, [f"training/{word}/1.wav", f"validation/{word}/1.wav", f"testing/{word}/1.wav"])
    audio.write(tmp_path / "_background_noise_" / "n.wav", np.zeros(20 * 8000), 8000)
    audio.write(tmp_path / "testing" / "_background_noise_" / "m.wav", np.zeros(20 * 8000), 8000)
    table = folder.index(tmp_path)
    words = table[table["label"] != "_background_noise_"]
    assert words.groupby("split")["label"].apply(list).to_dict() == dict.fromkeys(manifest.SPLITS, ["no", "yes"])
    noise = table[table["label"] == "_background_noise_"]
    assert sorted(noise["path"].str.rpartition("/")[2] + noise["split"]) == [
        "m.wavtest",
        "n.wavtest",
        "n.wavtrain",
        "n.wavvalidation",
    ]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("0", "1", "12"), "look like speakers .*--words=0,1,12"),
        (("speaker_01", "speaker_02"), "look like speakers"),
        (("fold1", "fold2"), "look like folds"),
        (("train-clean-100", "dev-clean"), "look like LibriSpeech's subsets"),
        (("train_data", "test_data"), "look like splits"),
        (("yes",), 'one class folder, "yes"; expected at least two: add recordings'),
    ],
)
def test_folders_that_are_no_classes_are_told(tmp_path, names, words):
    _touch(tmp_path, [f"{name}/{number}.wav" for name in names for number in range(4)])
    with refused(words):
        folder.index(tmp_path)
    assert set(folder.index(tmp_path, words=names)["label"]) == set(names)


def test_speakers_below_folders_of_splits_are_told(tmp_path):
    with pytest.raises(UserError, match="look like speakers"):
        folder.index(_touch(tmp_path, ["train/p1/1.wav", "train/p2/1.wav", "test/p3/1.wav"]))


def test_a_root_one_folder_too_high_names_the_right_one(tmp_path):
    _touch(tmp_path, _numbered("words/yes/{}.wav", 3) + _numbered("words/no/{}.wav", 3))
    with pytest.raises(UserError, match=f"give the folder inside it, {tmp_path}/words, if no, yes are classes"):
        folder.index(tmp_path)


def test_a_root_one_folder_too_low_names_the_right_one(tmp_path):
    _touch(tmp_path, _numbered("yes/{}.wav", 3))
    with pytest.raises(UserError, match=f"if yes is one of the classes, give the folder above it, {tmp_path}$"):
        folder.index(tmp_path / "yes")


def test_names_are_composed_and_bytes_are_shown(tmp_path):
    _touch(tmp_path, _numbered("adio\u0301s/a{}.wav", 3) + _numbered("adi\u00f3s/b{}.wav", 3))
    _touch(tmp_path, _numbered("caf\udce9/\udce9{}_nohash_0.wav", 3) + _numbered("two\nlines/{}.wav", 3))
    table = folder.index(tmp_path)
    assert table["label"].value_counts().to_dict() == {"adi\u00f3s": 6, "caf\\xe9": 3, "two\\nlines": 3}
    assert set(table["speaker"]) == {"", "\\xe90", "\\xe91", "\\xe92"}


def test_linked_folders_are_classes(tmp_path):
    _touch(tmp_path, _numbered(".elsewhere/yes/{}.wav", 3) + _numbered("no/{}.wav", 3))
    (tmp_path / "yes").symlink_to(tmp_path / ".elsewhere" / "yes")
    assert folder.index(tmp_path)["label"].value_counts().to_dict() == {"yes": 3, "no": 3}


def test_what_is_left_out_is_counted(tmp_path, caplog):
    caplog.set_level("INFO")
    _touch(tmp_path, _numbered("yes/{}.wav", 3) + _numbered("no/{}.wav", 3) + ["yes/a.txt", "b.pdf", "yes/._1.wav"])
    folder.index(tmp_path)
    assert caplog.messages == [f"{tmp_path}: skipped 2 files that are not audio (.pdf 1, .txt 1)"]


def test_a_table_from_another_system_finds_its_files(tmp_path):
    _touch(tmp_path, _numbered("sub/adio\u0301s{}.wav", 3) + _numbered("sub/no{}.wav", 3))
    lines = [f"sub\\adi\u00f3s{n}.wav,adio\u0301s\nsub\\no{n}.wav,no\n" for n in range(3)]
    table = folder.index(_table(tmp_path, "file,label\n" + "".join(lines)))
    assert sorted(table["path"]) == sorted(str(path) for path in (tmp_path / "sub").iterdir())
    assert set(table["label"]) == {"adi\u00f3s", "no"}

"""Recordings of people, one folder each, in all the ways people lay them out."""

import pytest

from common.corpora import manifest, speaker_folders
from common.errors import UserError
from tests.errors import refused


def _touch(root, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def _people(table) -> dict[str, tuple[str, str]]:
    assert table.groupby("speaker")["split"].nunique().max() == 1
    return {row.speaker: (row.split, row.sex) for row in table.itertuples()}


FOUR = ["anna/1.wav", "anna/deep/er/2.flac", "bert/1.mp3", "carl/1.wav", "dora/1.wav"]


def _table(root, text):
    _touch(root, FOUR)
    (root / "speakers.csv").write_text(text, encoding="utf-8")
    return root


def test_a_folder_is_a_speaker(tmp_path):
    _touch(tmp_path, [f"s{number}/{take}.wav" for number in range(300) for take in (0, 1)])
    _touch(tmp_path, ["README.md", "empty/notes.txt", ".hidden/a.wav", "s0/.hidden/a.wav", "s0/deep/2.ogg"])
    table = speaker_folders.index(tmp_path)
    assert tuple(table.columns) == manifest.COLUMNS and len(table) == 601
    assert set(table["label"]) == set(table["sex"]) == {""}
    assert table["duration"].isna().all() and (table["start"] == 0).all()
    splits = {speaker: split for speaker, (split, _) in _people(table).items()}
    assert splits == {f"s{number}": manifest.hash_split(f"s{number}") for number in range(300)}


def test_a_few_speakers_are_in_every_split(tmp_path):
    for first in range(20):
        names = [f"s{first + number}" for number in range(3)]
        table = speaker_folders.index(_touch(tmp_path / str(first), [f"{name}/1.wav" for name in names]))
        assert {split for split, _ in _people(table).values()} == set(manifest.SPLITS)


def test_too_few_speakers_are_told(tmp_path):
    with pytest.raises(UserError, match="has 2 speakers for train and validation and test; expected at least 3"):
        speaker_folders.index(_touch(tmp_path, ["anna/1.wav", "bert/1.wav", "bert/2.wav"]))


def test_the_table_tells_sex_and_split(tmp_path):
    text = "\ufeffSpeaker, sex,split\nanna, Female,val\nbert,m,TRAIN\n carl ,,train\ndora,F,test\n"
    assert _people(speaker_folders.index(_table(tmp_path, text))) == {
        "anna": ("validation", "F"),
        "bert": ("train", "M"),
        "carl": ("train", ""),
        "dora": ("test", "F"),
    }


def test_without_splits_in_the_table_they_are_drawn(tmp_path, caplog):
    table = _people(speaker_folders.index(_table(tmp_path, "sex,speaker,age\nMALE,bert,9\nf,eve,9\nf,007,9\n")))
    assert {speaker: sex for speaker, (_, sex) in table.items()} == {"anna": "", "bert": "M", "carl": "", "dora": ""}
    assert {split for split, _ in table.values()} == set(manifest.SPLITS)
    assert len(caplog.messages) == 1 and "lists 2 speakers without a folder, e.g. 007, eve" in caplog.messages[0]


def test_an_empty_column_of_splits_counts_for_none(tmp_path):
    text = "speaker,sex,split\nanna,f,\nbert,m,\n"
    assert {split for split, _ in _people(speaker_folders.index(_table(tmp_path, text))).values()} == {*manifest.SPLITS}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected CSV with the columns speaker,sex"),
        (
            "name,sex\nanna,f\n",
            "lacks the columns speaker (it has name, sex); expected speaker,sex and optionally split",
        ),
        ("speaker,sex\n", "lists no speakers"),
        ("speaker,sex\nanna,f\nanna ,f\n", "lists anna more than once"),
        ("speaker,sex\nanna,f\n,m\n", "line 3 has no speaker"),
        ("speaker,sex\nanna,w\n", 'line 2 has the sex "w"; expected F, M'),
        ("speaker,sex\nanna,f,\nbert,m,\n", "more values than the header has columns"),
        ("speaker,sex,split\nanna,f,trian\n", 'line 2 has the split "trian"; expected test, train, validation'),
        ("speaker,sex,split\nanna,f,train\nbert,m,\n", "gives a split to 1 of 4 speakers, none to bert, carl, dora"),
    ],
)
def test_a_table_that_means_nothing_is_told(tmp_path, text, words):
    with pytest.raises(UserError) as caught:
        speaker_folders.index(_table(tmp_path, text))
    assert words in caught.value.command_line and "\n" not in caught.value.command_line, caught.value


def test_folders_named_after_splits_are_splits(tmp_path):
    names = ["train/anna/1.wav", "Validation/bert/deep/1.wav", "test/carl/1.wav", "test/carl/2.wav"]
    table = speaker_folders.index(_table(_touch(tmp_path / "new", names).parent / "old", "speaker,sex\nanna,f\n"))
    assert len(table) == 5
    (tmp_path / "new" / "speakers.csv").write_text("speaker,sex\nanna,f\n")
    assert _people(speaker_folders.index(tmp_path / "new")) == {
        "anna": ("train", "F"),
        "bert": ("validation", ""),
        "carl": ("test", ""),
    }


def test_a_split_that_is_missing_is_drawn_from_train_and_test_alone_stays(tmp_path):
    _touch(tmp_path / "a", [f"train/s{number}/1.wav" for number in range(9)] + ["test/t/1.wav"])
    people = _people(speaker_folders.index(tmp_path / "a"))
    splits = [split for split, _ in people.values()]
    assert people["t"][0] == "test" and splits.count("test") == 1 and 1 <= splits.count("validation") <= 4
    assert set(_people(speaker_folders.index(_touch(tmp_path / "b", ["test/t/1.wav"]))).values()) == {("test", "")}
    with pytest.raises(UserError, match="has 1 speakers for train and validation; expected at least 2"):
        speaker_folders.index(_touch(tmp_path / "c", ["train/s/1.wav", "test/t/1.wav"]))


def test_splits_in_disorder_are_told(tmp_path):
    names = ["train/anna/1.wav", "test/anna/1.wav", "dev/bert/1.wav"]
    with pytest.raises(UserError, match='the speaker "anna" in (test and in train|train and in test)'):
        speaker_folders.index(_touch(tmp_path / "twice", names))
    with pytest.raises(UserError, match="mixes split folders .* with others .* splits or speakers"):
        speaker_folders.index(_touch(tmp_path / "beside", ["train/a/1.wav", "test/b/1.wav", "other/1.wav"]))
    with pytest.raises(UserError, match=r"is outside a speaker folder; expected loose/train/<speaker>/1\.wav"):
        speaker_folders.index(_touch(tmp_path / "loose", ["train/1.wav", "test/b/1.wav"]))
    _touch(tmp_path / "both", ["train/a/1.wav", "test/b/1.wav"])
    (tmp_path / "both" / "speakers.csv").write_text("speaker,sex,split\na,f,train\nb,m,test\n")
    with pytest.raises(UserError, match=r"has split folders, and speakers\.csv also gives splits"):
        speaker_folders.index(tmp_path / "both")


def test_what_is_no_folder_of_speakers_is_told(tmp_path, caplog):
    with pytest.raises(UserError, match="missing is not a folder; expected one folder per speaker"):
        speaker_folders.index(tmp_path / "missing")
    with pytest.raises(UserError, match=r"has no recordings; expected one folder per speaker .*\.wav, \.flac"):
        speaker_folders.index(_touch(tmp_path, ["anna/notes.txt"]))
    with pytest.raises(UserError, match="has 1 recordings but no speaker folders"):
        speaker_folders.index(_touch(tmp_path, ["1.wav"]))
    assert len(speaker_folders.index(_touch(tmp_path, FOUR))) == 5
    assert len(caplog.messages) == 1 and "1 recordings outside the speaker folders are left out" in caplog.messages[0]


def test_real_recordings_with_a_folder_for_each_speaker(real_data):
    table = speaker_folders.index(real_data / "librispeech" / "train-clean-100")
    assert table["speaker"].nunique() > 100 and set(table["sex"]) == {""}
    assert {split for split, _ in _people(table).values()} == set(manifest.SPLITS)


def test_numbers_are_speakers_and_noise_is_none(tmp_path):
    for name in (*map(str, range(5)), "_background_noise_"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.wav").touch()
    assert set(speaker_folders.index(tmp_path)["speaker"]) == set("01234")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("train-clean-100/19/1.wav", "dev-clean/20/1.wav"), "give --corpus=librispeech"),
        (("fold1/a/1.wav", "fold2/b/1.wav", "fold3/c/1.wav"), "look like folds"),
        (("yes/a_nohash_0.wav", "yes/b_nohash_0.wav", "no/a_nohash_0.wav", "up/b_nohash_0.wav"), "look like words"),
        (("people/anna/1.wav", "people/bert/1.wav", "people/carl/1.wav"), "give .*/people if"),
    ],
)
def test_folders_that_are_no_speakers_are_told(tmp_path, names, words):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with refused(words):
        speaker_folders.index(tmp_path)


def test_speakers_of_a_table_are_found_however_their_accents_are_written(tmp_path):
    for name in ("Rene\u0301", "anna", "bert"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.wav").touch()
    (tmp_path / "speakers.csv").write_text("speaker,sex\nRen\u00e9,M\nanna,F\n", encoding="utf-8")
    table = speaker_folders.index(tmp_path).set_index("speaker")
    assert table["sex"].to_dict() == {"Ren\u00e9": "M", "anna": "F", "bert": ""}

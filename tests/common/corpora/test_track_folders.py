"""One folder a track, one file a stem."""

import pytest

from common.corpora import manifest, track_folders
from common.errors import UserError
from tests.errors import refused


def _touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_tracks_at_any_depth_with_their_stems(tmp_path):
    _touch(
        tmp_path, "album/one/Vocals.WAV", "album/one/drums.flac", "two/mixture.wav", "two/vocals.mp3", "two/notes.txt"
    )
    _touch(tmp_path, "three/vocals.wav", "three/bass.wav", ".hidden/vocals.wav", ".hidden/bass.wav")
    table = track_folders.index(tmp_path)
    assert tuple(table.columns) == manifest.COLUMNS
    found = table.groupby("track")["stem"].apply(sorted).to_dict()
    assert found == {
        "album/one": ["drums", "vocals"],
        "two": ["mixture", "vocals"],
        "three": ["bass", "vocals"],
    }
    # All stems of a track stand on one side, and every side has one.
    assert (table.groupby("track")["split"].nunique() == 1).all()
    assert set(table["split"]) == set(manifest.SPLITS)


def test_folders_of_splits_decide_and_what_is_missing_is_drawn_from_train(tmp_path):
    for name in ("train/a", "train/b", "train/c", "test/d"):
        _touch(tmp_path, f"{name}/vocals.wav", f"{name}/other.wav")
    table = track_folders.index(tmp_path, validation_tracks=("b",)).drop_duplicates("track").set_index("track")
    assert table["split"].to_dict() == {
        "train/a": "train",
        "train/b": "validation",
        "train/c": "train",
        "test/d": "test",
    }
    drawn = track_folders.index(tmp_path).drop_duplicates("track")
    assert sorted(drawn["split"]) == ["test", "train", "train", "validation"]


def test_two_tracks_are_all_train(tmp_path):
    _touch(tmp_path, "a/vocals.wav", "a/other.wav", "b/vocals.wav", "b/other.wav")
    assert set(track_folders.index(tmp_path)["split"]) == {"train"}


def test_what_is_no_corpus_is_told(tmp_path):
    with pytest.raises(UserError, match="is not a folder; expected one folder per track"):
        track_folders.index(tmp_path / "missing")
    with pytest.raises(UserError, match="has no recordings"):
        track_folders.index(tmp_path)
    _touch(tmp_path, "song.wav")
    with pytest.raises(UserError, match="has 1 recordings but no folders of stems"):
        track_folders.index(tmp_path)
    for name in ("train/a", "test/b", "c"):
        _touch(tmp_path, f"{name}/vocals.wav", f"{name}/other.wav")
    with pytest.raises(UserError, match=r"mixes split folders with others \(c\)"):
        track_folders.index(tmp_path)


def test_a_mixture_is_recognised_by_its_name(tmp_path, caplog):
    caplog.set_level("INFO")
    for name in (
        "a/mix.wav",
        "a/vocals.wav",
        "b/b_Master.wav",
        "b/drums.wav",
        "c/mixture.wav",
        "c/Full Mix.wav",
        "c/bass.wav",
    ):
        _touch(tmp_path, name)
    found = track_folders.index(tmp_path).groupby("track")["stem"].apply(sorted).to_dict()
    assert found == {"a": ["mixture", "vocals"], "b": ["drums", "mixture"], "c": ["bass", "mixture"]}
    assert sorted(message.partition(": ")[2] for message in caplog.messages) == [
        "in 1 tracks full mix is another mixture and is left out",
        "in 1 tracks master is the mixture",
        "in 1 tracks mix is the mixture",
    ]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("vocals/a", "vocals/b", "drums/a", "drums/b"), "look like stems"),
        (("fold1/a/vocals", "fold1/a/drums", "fold2/b/vocals", "fold2/b/drums"), "look like folds"),
        (("musdb/train/a/vocals", "musdb/train/a/bass", "musdb/test/b/vocals", "musdb/test/b/bass"), "give the folder"),
        (("vocals", "drums"), "give the folder above it"),
    ],
)
def test_folders_that_are_no_tracks_are_told(tmp_path, names, words):
    _touch(tmp_path, *(f"{name}.wav" for name in names))
    with refused(words):
        track_folders.index(tmp_path)


def test_what_is_no_stem_is_counted(tmp_path, caplog):
    _touch(
        tmp_path, "a/vocals.wav", "a/vocals.mp3", "a/bass.wav", "b/song.wav", "loose.wav", "c/Bass.wav", "c/bass.wav"
    )
    table = track_folders.index(tmp_path)
    assert table["path"].str.endswith("a/vocals.wav").any() and not table["path"].str.endswith("mp3").any()
    assert len(table[table["track"] == "c"]) == 2
    (message,) = caplog.messages
    assert (
        "1 recordings outside" in message
        and "1 folders with one recording" in message
        and "1 recordings that" in message
    )


def test_all_stems_in_one_file_are_told(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.stem.mp4").touch()
    with pytest.raises(UserError, match=r"a\.stem\.mp4 is a multi-stream stem file"):
        track_folders.index(tmp_path)

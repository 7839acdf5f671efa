"""One folder a track, one file a stem."""

import pytest

from common.corpora import manifest, track_folders
from common.errors import UserError


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
    with pytest.raises(UserError, match="is not a folder; expected one folder a track"):
        track_folders.index(tmp_path / "missing")
    with pytest.raises(UserError, match="has no recordings"):
        track_folders.index(tmp_path)
    _touch(tmp_path, "song.wav")
    with pytest.raises(UserError, match="has 1 recordings but no folders of stems"):
        track_folders.index(tmp_path)
    for name in ("train/a", "test/b", "c"):
        _touch(tmp_path, f"{name}/vocals.wav", f"{name}/other.wav")
    with pytest.raises(UserError, match=r"split folders beside others \(c\)"):
        track_folders.index(tmp_path)

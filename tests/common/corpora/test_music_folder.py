import numpy as np
import pytest
import soundfile

from common.corpora import music_folder
from common.errors import UserError
from tests.errors import refused


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(100), 8000)


def test_the_folder_of_a_track_is_its_genre(tmp_path):
    write(tmp_path, *(f"metal/{number}.wav" for number in range(6)), "rock/solo.wav", "loose.wav")
    table = music_folder.index(tmp_path)
    assert table.set_index("track")["label"].to_dict() | {} == {
        **{f"metal/{number}": "metal" for number in range(6)},
        "rock/solo": "rock",
        "loose": "",
    }
    assert set(table["split"]) == {"train", "validation", "test"} and set(table["stem"]) == {"mixture"}


def test_folders_of_splits_are_kept(tmp_path):
    write(tmp_path, "train/metal/a.wav", "val/metal/b.wav", "test/c.wav")
    table = music_folder.index(tmp_path).set_index("track")
    assert table["split"].to_dict() == {"train/metal/a": "train", "val/metal/b": "validation", "test/c": "test"}
    assert table["label"].to_dict() == {"train/metal/a": "metal", "val/metal/b": "metal", "test/c": ""}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "has no recordings"),
        (("one.wav",), "has 1 track; expected at least three"),
        (("a.wav", "b.wav"), "2 tracks"),
    ],
)
def test_too_little_is_one_line(tmp_path, names, message):
    write(tmp_path, *names)
    with refused(message):
        music_folder.index(tmp_path)


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        music_folder.index(tmp_path / "nowhere")


def test_parts_of_a_song_stand_in_one_split(tmp_path):
    songs = [f"{genre}/{number}" for genre in ("metal", "rock") for number in range(20)]
    write(tmp_path, *(f"{song}/{stem}.wav" for song in songs[:20] for stem in ("vocals", "drums", "mixture")))
    write(tmp_path, *(f"{song}{part}.wav" for song in songs[20:] for part in ("", " (Vocals)", "_no_vocals")))
    table = music_folder.index(tmp_path)
    assert (table.groupby(music_folder.songs_of(table))["split"].nunique() == 1).all() and len(table) == 120
    assert set(table["split"]) == {"train", "validation", "test"} and set(table["label"]) == {"metal", "rock"}
    assert set(table["speaker"]) == {""}


@pytest.mark.parametrize(
    "names", [("one/vocals.wav", "one/drums.wav", "one/bass.wav"), ("one.wav", "one_vocals.wav", "b.wav")]
)
def test_parts_of_too_few_songs_are_told(tmp_path, names):
    write(tmp_path, *names)
    with pytest.raises(UserError, match=r"has 3 tracks of \d songs?; expected at least three"):
        music_folder.index(tmp_path)


def test_splits_one_folder_too_deep_are_told(tmp_path):
    write(tmp_path, "music/train/a.wav", "music/eval/b.wav", "music/dev/c.wav")
    with pytest.raises(UserError, match=f"give the folder {tmp_path}/music"):
        music_folder.index(tmp_path)
    assert set(music_folder.index(tmp_path / "music")["split"]) == {"train", "validation", "test"}


def test_a_recording_in_two_formats_is_one_track(tmp_path):
    write(tmp_path, "a.wav", "a.flac", "b.wav", "c.wav", "._d.wav")
    assert music_folder.index(tmp_path)["track"].tolist() == ["a", "b", "c"]


def test_songs_beside_a_folder_of_test_are_for_training_and_validation(tmp_path):
    write(tmp_path, *(f"metal/{number}.wav" for number in range(8)), "test/metal/a.wav")
    splits = music_folder.index(tmp_path).set_index("track")["split"]
    assert splits["test/metal/a"] == "test" and (splits == "test").sum() == 1
    assert set(splits) == {"train", "validation", "test"}

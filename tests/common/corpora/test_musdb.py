"""MUSDB18-HQ's layout and its fixed validation songs."""

import pytest

from common.corpora import musdb, tracks
from common.data import track_bank
from common.errors import UserError


def test_the_official_split(tmp_path):
    assert len(musdb.VALIDATION_TRACKS) == len(set(musdb.VALIDATION_TRACKS)) == 14
    for name in (f"train/{musdb.VALIDATION_TRACKS[0]}", "train/A - B", "test/C - D"):
        for stem in (*musdb.STEMS, "mixture"):
            path = tmp_path / name / f"{stem}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    table = musdb.index(tmp_path)
    assert table.groupby("split")["track"].unique().map(list).to_dict() == {
        "test": ["test/C - D"],
        "train": ["train/A - B"],
        "validation": [f"train/{musdb.VALIDATION_TRACKS[0]}"],
    }
    assert len(table) == 15


def test_another_folder_is_told(tmp_path):
    with pytest.raises(UserError, match="has neither train nor test; expected MUSDB18-HQ"):
        musdb.index(tmp_path)


def test_a_real_track_is_taken_apart(real_data, tmp_path):
    table = musdb.index(real_data / "musdb_samples")
    bank = track_bank.prepare(table, tmp_path, musdb.STEMS, 44100, 2)
    assert bank.pcm[0].shape[1:] == (4, 2) and bank.seconds == pytest.approx(6.657, abs=0.01)
    mixture, stems = tracks.read(table, ("vocals", "accompaniment"), 44100, 2)
    # The pack was decoded from AAC: stems sum to the mixture to about -32 dB.
    difference = mixture - stems.sum(axis=0)
    assert 10 ** (-36 / 20) < (difference**2).mean() ** 0.5 / (mixture**2).mean() ** 0.5 < 10 ** (-28 / 20)

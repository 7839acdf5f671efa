"""Tracks mapped into memory."""

import logging

import numpy as np
import pytest
import soundfile

from benchmarks.example_corpora.songs import RATE, write_song
from common.corpora import manifest, track_folders
from common.data import track_bank
from common.errors import UserError

STEMS = ("vocals", "accompaniment")


@pytest.fixture
def songs(tmp_path, rng):
    for number in range(4):
        write_song(tmp_path / "songs" / f"song {number}", 0.5, rng)
    return tmp_path / "songs"


def test_stems_lie_side_by_side_as_they_are(songs, tmp_path):
    bank = track_bank.prepare(track_folders.index(songs), tmp_path / "shards", STEMS, RATE, 1)
    assert bank.stems == STEMS and bank.tracks == bank.groups == ("song 0", "song 1", "song 2", "song 3")
    assert bank.seconds == 2.0 and isinstance(bank.pcm[0], np.memmap)
    vocals, drums, other = (
        soundfile.read(songs / "song 2" / f"{stem}.wav", dtype="int16")[0] for stem in ("vocals", "drums", "other")
    )
    np.testing.assert_array_equal(bank.pcm[2][:, 0, 0], vocals)
    np.testing.assert_allclose(bank.pcm[2][:, 1, 0], drums + other, atol=1)


def test_what_is_there_is_not_made_again_and_what_changed_is(songs, tmp_path, rng):
    root = tmp_path / "shards"
    first = track_bank.prepare(track_folders.index(songs), root, STEMS, RATE, 1)
    stamps = {path: path.stat().st_mtime_ns for path in (root / "tracks").iterdir()}
    track_bank.prepare(track_folders.index(songs), root, STEMS, RATE, 1)
    assert {path: path.stat().st_mtime_ns for path in (root / "tracks").iterdir()} == stamps
    soundfile.write(songs / "song 1" / "vocals.wav", rng.uniform(-0.1, 0.1, RATE // 2), RATE)
    changed = track_bank.prepare(track_folders.index(songs), root, STEMS, RATE, 1)
    assert not np.array_equal(changed.pcm[1], first.pcm[1]) and np.array_equal(changed.pcm[0], first.pcm[0])


def test_an_interrupted_preparation_goes_on(songs, tmp_path):
    root = tmp_path / "shards"
    bank = track_bank.prepare(track_folders.index(songs), root, STEMS, RATE, 1)
    whole = [np.array(pcm) for pcm in bank.pcm]
    # As a kill leaves it: sound without its report, which is written last.
    reports = sorted((root / "tracks").glob("*.json"))
    reports[0].unlink()
    reports[0].with_suffix(".pcm").write_bytes(b"half")
    again = track_bank.prepare(track_folders.index(songs), root, STEMS, RATE, 1)
    for one, other in zip(whole, again.pcm, strict=True):
        np.testing.assert_array_equal(one, other)


def test_unusable_tracks_are_listed_and_too_many_are_refused(songs, tmp_path, caplog):
    soundfile.write(songs / "song 0" / "vocals.wav", np.zeros(RATE // 2), RATE)
    table = track_folders.index(songs)
    with pytest.raises(UserError, match="1 of 4 tracks cannot be used: 25%.*its stem vocals is silent"):
        track_bank.prepare(table, tmp_path / "shards", STEMS, RATE, 1, max_rejected=0)
    with caplog.at_level(logging.WARNING):
        bank = track_bank.prepare(table, tmp_path / "shards", STEMS, RATE, 1, max_rejected=0.3)
    assert bank.tracks == ("song 1", "song 2", "song 3") and "1 of 4 tracks cannot be used" in caplog.text
    assert bank.rejected["reason"].str.contains("silent").all() and len(bank.rejected) == 1


def test_a_damaged_bank_is_told(songs, tmp_path):
    table = manifest.select(track_folders.index(songs), "train")
    track_bank.prepare(table, tmp_path / "shards", STEMS, RATE, 1)
    next((tmp_path / "shards" / "tracks").glob("*.pcm")).write_bytes(b"short")
    with pytest.raises(UserError, match="is damaged .*delete it and its .json"):
        track_bank.prepare(table, tmp_path / "shards", STEMS, RATE, 1)

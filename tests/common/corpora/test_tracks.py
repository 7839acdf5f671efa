"""A track and what it is made of."""

import numpy as np
import pytest
import soundfile

from common.corpora import manifest, tracks
from common.errors import UserError

RATE = 8000


@pytest.fixture
def sounds(rng):
    return {stem: rng.uniform(-0.2, 0.2, (RATE, 1)) for stem in ("vocals", "drums", "bass")}


def rows_of(folder, sounds, rate=RATE):
    for stem, sound in sounds.items():
        soundfile.write(folder / f"{stem}.wav", sound, rate)
    return manifest.from_rows({"path": folder / f"{stem}.wav", "track": "song", "stem": stem} for stem in sounds)


def test_stems_are_read_and_the_rest_is_the_accompaniment(tmp_path, sounds):
    rows = rows_of(tmp_path, sounds)
    mixture, stems = tracks.read(rows, ("vocals", "accompaniment"), RATE, 1)
    np.testing.assert_allclose(stems[0], sounds["vocals"], atol=1e-4)
    np.testing.assert_allclose(stems[1], sounds["drums"] + sounds["bass"], atol=1e-4)
    np.testing.assert_allclose(mixture, sum(sounds.values()), atol=1e-4)


def test_what_a_mixture_has_beside_the_vocals_is_the_accompaniment(tmp_path, sounds):
    rows = rows_of(tmp_path, {"mixture": sounds["drums"] + sounds["vocals"], "vocals": sounds["vocals"]})
    mixture, stems = tracks.read(rows, ("accompaniment", "vocals"), RATE, 1)
    np.testing.assert_allclose(stems[0], sounds["drums"], atol=2e-4)
    np.testing.assert_allclose(mixture, sounds["drums"] + sounds["vocals"], atol=1e-4)


def test_rate_channels_and_excerpt(tmp_path, sounds):
    rows = rows_of(tmp_path, sounds)
    mixture, stems = tracks.read(rows, ("bass",), 2 * RATE, 2, start=0.25, duration=0.5)
    assert mixture.shape == (RATE, 2) and stems.shape == (1, RATE, 2)
    np.testing.assert_array_equal(mixture[:, 0], mixture[:, 1])
    stereo = np.array([[0.5, 0.1]])
    np.testing.assert_allclose(tracks.as_channels("x", stereo, 1), [[0.3]])
    np.testing.assert_allclose(tracks.as_channels("x", stereo, 1, channel=1), [[0.1]])


def test_many_channels_become_one_but_not_two(tmp_path, sounds):
    soundfile.write(tmp_path / "a.wav", np.repeat(sounds["bass"], 6, axis=1), RATE)
    rows = manifest.from_rows([{"path": tmp_path / "a.wav", "track": "a", "stem": "mixture"}])
    mixture, _ = tracks.read(rows, ("mixture",), RATE, 1)
    np.testing.assert_allclose(mixture, sounds["bass"], atol=1e-3)
    with pytest.raises(UserError, match="has 6 channels; expected one or two"):
        tracks.read(rows, ("mixture",), RATE, 2)


def test_what_cannot_be_taken_apart_is_told(tmp_path, sounds):
    rows = rows_of(tmp_path, sounds)
    with pytest.raises(UserError, match="song has no stem 'guitar' .it has bass, drums, vocals"):
        tracks.read(rows, ("guitar",), RATE, 1)
    with pytest.raises(UserError, match="has only vocals, drums, bass"):
        tracks.read(rows, ("vocals", "drums", "bass", "accompaniment"), RATE, 1)
    with pytest.raises(UserError, match="has 3 channels; expected one or two"):
        tracks.as_channels("x", np.zeros((4, 3)), 1)
    with pytest.raises(UserError, match="has 1 channels; expected at least 2"):
        tracks.as_channels("x", np.zeros((4, 1)), 1, channel=1)
    rows = rows_of(tmp_path, {**sounds, "bass": sounds["bass"][:-7]})
    with pytest.raises(UserError, match=r"different lengths \(bass 0.999 s, drums 1.000 s"):
        tracks.read(rows, ("vocals",), RATE, 1)


def test_tracks_that_teach_nothing_are_told(sounds):
    mixture = sum(sounds.values())
    tracks.check("song", mixture, sounds)
    with pytest.raises(UserError, match="its stem drums is silent"):
        tracks.check("song", mixture, {**sounds, "drums": 0 * mixture})
    with pytest.raises(UserError, match="its stem vocals is equal to the mixture"):
        tracks.check("song", mixture, {"vocals": mixture + 1e-4, "drums": sounds["drums"]})


@pytest.fixture
def files(tmp_path, sounds):
    """What a track is, by the names of its files."""

    def read(stems, channels=1, **others):
        rows = rows_of(tmp_path, others)
        return tracks.read(rows, stems, RATE, channels)

    return read


def test_a_file_that_is_the_sum_of_the_others_is_the_mixture(files, sounds, caplog):
    caplog.set_level("INFO")
    whole = sum(sounds.values())
    mixture, stems = files(("vocals", "accompaniment"), **sounds, full_band=whole)
    np.testing.assert_allclose(mixture, whole, atol=1e-3)
    np.testing.assert_allclose(stems[1], sounds["drums"] + sounds["bass"], atol=1e-3)
    assert (
        "full_band is the sum of bass, drums, vocals" in caplog.text or "full_band is the sum of vocals" in caplog.text
    )
    near = whole + 0.02 * np.std(whole) * np.random.default_rng(1).normal(size=whole.shape)
    mixture, _ = files(("vocals",), **sounds, full_band=near)
    np.testing.assert_allclose(mixture, near, atol=1e-3)


def test_a_file_that_is_no_sum_is_a_part(files, sounds):
    other = np.random.default_rng(2).uniform(-0.2, 0.2, (RATE, 1))
    mixture, _ = files(("vocals",), **sounds, full_band=other)
    np.testing.assert_allclose(mixture, sum(sounds.values()) + other, atol=1e-3)


def test_what_holds_other_parts_again_is_not_counted_twice(files, sounds, caplog):
    caplog.set_level("INFO")
    band = sounds["drums"] + sounds["bass"]
    mixture, stems = files(("vocals", "instrumental", "accompaniment"), **sounds, instrumental=band)
    np.testing.assert_allclose(mixture, sum(sounds.values()), atol=1e-3)
    np.testing.assert_allclose(stems[1], band, atol=1e-3)
    assert "not added to the mixture, since other files contain them: instrumental" in caplog.text
    # With a mixture of its own too, for the accompaniment; and by its name where it is another recording of it.
    _, stems = files(("vocals", "accompaniment"), **sounds, instrumental=band, mixture=sum(sounds.values()))
    np.testing.assert_allclose(stems[1], band, atol=1e-3)


def test_an_instrumental_of_another_level_is_not_counted_twice(files, sounds):
    mixture, _ = files(("vocals",), **sounds, no_vocals=0.5 * (sounds["drums"] + sounds["bass"]))
    np.testing.assert_allclose(mixture, sum(sounds.values()), atol=1e-3)


def test_a_copy_of_the_mixture_is_no_part(files, sounds):
    whole = sum(sounds.values())
    _, stems = files(("vocals", "accompaniment"), vocals=sounds["vocals"], band=whole, mixture=whole)
    np.testing.assert_allclose(stems[1], whole - sounds["vocals"], atol=1e-3)


def test_where_channels_cancel_all_stems_have_their_first(files, sounds, caplog):
    caplog.set_level("INFO")
    stereo = {stem: np.hstack([sound, -sound]) for stem, sound in sounds.items()}
    mixture, stems = files(tuple(sounds), **stereo)
    for sound, stem in zip(sounds.values(), stems, strict=True):
        np.testing.assert_allclose(stem, sound, atol=1e-3)
    np.testing.assert_allclose(mixture, stems.sum(axis=0), atol=1e-5)
    assert "song: the mean of its channels is nearly silent, so the first channel is used" in caplog.text


def test_one_stem_whose_channels_cancel_does_not_change_the_others(files, sounds):
    stereo = {stem: np.hstack([sound, sound]) for stem, sound in sounds.items()}
    stereo["bass"] = np.hstack([sounds["bass"], -sounds["bass"]])
    mixture, stems = files(("vocals", "bass"), **stereo)
    np.testing.assert_allclose(mixture, sounds["vocals"] + sounds["drums"], atol=1e-3)
    np.testing.assert_allclose(stems[1], 0, atol=1e-3)

import numpy as np
import pytest
import soundfile

from common.corpora import noise
from common.data import noise_bank

RATE = 8000


@pytest.fixture
def rows(tmp_path, rng):
    """Two recordings of noise of 2.5 s and 0.5 s."""
    (tmp_path / "noise").mkdir()
    for name, seconds in (("long", 2.5), ("short", 0.5)):
        soundfile.write(tmp_path / "noise" / f"{name}.wav", rng.uniform(-0.3, 0.3, round(seconds * RATE)), RATE)
    return noise.index(tmp_path / "noise")


def build(rows, tmp_path, **options):
    options = {"max_clips": 100, "max_rejected": 0.0, **options}
    return noise_bank.build(rows, tmp_path / "shards", RATE, 1.0, **options)


def test_a_bank_has_the_clips_that_follow_each_other(rows, tmp_path):
    bank = build(rows, tmp_path).numpy()
    samples, _ = soundfile.read(tmp_path / "noise" / "long.wav", dtype="float32")
    short, _ = soundfile.read(tmp_path / "noise" / "short.wav", dtype="float32")
    expected = [samples[:RATE], samples[RATE : 2 * RATE], np.pad(short, (0, RATE - len(short)))]
    np.testing.assert_array_equal(sorted(bank.tolist()), sorted(np.stack(expected).tolist()))


def test_other_speeds_make_more_of_it(rows, tmp_path):
    bank = build(rows, tmp_path, speeds=(0.5, 1.0)).numpy()
    # At half the speed the long recording lasts 5 s; of it and of the short one a clip and whole clips are kept.
    assert bank.shape == (2 + 1 + 5 + 1, RATE)
    # Twice as slow, frequencies above a quarter of the rate are gone.
    power = np.abs(np.fft.rfft(bank, axis=1)) ** 2
    high = power[:, RATE // 4 + 200 :].sum(axis=1) / power.sum(axis=1)
    assert (high < 0.02).sum() + (high > 0.3).sum() == len(bank) and (high > 0.3).sum() == 3


@pytest.mark.parametrize("speeds", [(), (0.5, 1.0)])
def test_no_more_clips_than_wanted_are_drawn_always_the_same(rows, tmp_path, speeds):
    drawn = build(rows, tmp_path, max_clips=2, speeds=speeds).numpy()
    assert drawn.shape == (2, RATE)
    np.testing.assert_array_equal(drawn, build(rows, tmp_path, max_clips=2, speeds=speeds))


def test_without_recordings_there_is_none(rows, tmp_path):
    assert build(rows.iloc[:0], tmp_path) is None

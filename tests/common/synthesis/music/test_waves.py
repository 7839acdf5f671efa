"""What drums and instruments are made of."""

import numpy as np
import pytest

from common.synthesis.music import waves


def test_times_count_in_seconds():
    np.testing.assert_allclose(waves.sample_times(0.5, 8), [0, 0.125, 0.25, 0.375])
    assert len(waves.sample_times(0.0, 8000)) == 1


def test_differences_are_small_and_cancel_out(rng):
    factors = np.array([waves.about_one(rng, 0.1) for _ in range(4000)])
    assert 0.7 <= factors.min() < 0.75 and 1.25 < factors.max() <= 1.3
    assert factors.mean() == pytest.approx(1, abs=0.01) and factors.std() == pytest.approx(0.1, rel=0.05)


def test_a_cut_off_above_the_nyquist_frequency_is_lowered(rng):
    noise = rng.standard_normal((2000, 2))
    assert np.array_equal(
        waves.filtered(noise, 2, "lowpass", 20000, 8000), waves.filtered(noise, 2, "lowpass", 3600, 8000)
    )


def test_a_finished_note_fades_in_and_out_at_its_velocity(rng):
    note = waves.finish(rng.standard_normal(8000) + 3, 0.5, 8000, attack_seconds=0.1, release_seconds=0.2)
    assert note.dtype == np.float32 and np.abs(note).max() == pytest.approx(0.5, rel=1e-6)
    assert note[0] == note[-1] == 0
    middle = note[3000:5000].std()
    assert note[:400].std() < 0.5 * middle and note[-800:].std() < 0.5 * middle
    assert abs(note[2000:].mean()) < 0.2 * middle

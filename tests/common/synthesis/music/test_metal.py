"""Songs of the style `metal`."""

import numpy as np
import pytest
from scipy.signal import find_peaks, stft

from common.synthesis.music import metal
from common.synthesis.music.score import rms
from tests.common.synthesis.music.sounds import song


def _onset_seconds(waveform, rate, hop=64):
    """Find where the spectrum of a waveform grows fastest."""
    level = np.log(np.abs(stft(waveform, nperseg=512, noverlap=512 - hop)[2]) + 1e-3 * np.abs(waveform).max())
    growth = np.diff(level, axis=1).clip(0).mean(axis=0)
    peaks, _ = find_peaks(growth, prominence=0.2 * growth.max(), distance=8)
    return (peaks + 0.5) * hop / rate


@pytest.mark.parametrize("seed", [1, 2])
def test_onsets_are_on_the_grid(seed):
    stems, facts = metal.play(song("metal", seed=seed))
    assert list(stems) == ["drums", "bass", "other"]
    assert all(samples.shape == (64000, 1) and rms(samples) > 1e-3 for samples in stems.values())
    step_seconds = 15 / facts["tempo_bpm"]
    assert 90 <= facts["tempo_bpm"] <= 200
    for stem in ("drums", "other"):
        steps = _onset_seconds(stems[stem][:, 0], 16000) / step_seconds
        assert len(steps) > 8
        assert np.median(np.abs(steps - np.round(steps))) * step_seconds < 0.012


def test_riffs_have_muted_and_open_strokes_of_the_scale(rng):
    for scale in metal._RIFF_SCALES.values():
        for _ in range(20):
            riff = metal._draw_riff(scale, rng)
            assert riff[0].step == 0 and sum(stroke.num_steps for stroke in riff) == 32
            assert {stroke.muted for stroke in riff} == {True, False}
            assert {stroke.interval for stroke in riff} <= set(scale)
            assert all(stroke.interval == 0 for stroke in riff if stroke.muted)

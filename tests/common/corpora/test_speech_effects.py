"""What differs between people, microphones and rooms."""

import numpy as np
import pytest

from common.corpora import speech_effects

RATE = 16000


@pytest.fixture
def vowel():
    """Harmonics of 120 Hz under resonances at 700 and 1,800 Hz, half a second."""
    frequencies_hz = np.arange(120, 7900, 120)
    gains = sum(1 / (1 + ((frequencies_hz - resonance) / 120) ** 2) for resonance in (700, 1800)) + 1e-3
    times = np.arange(RATE // 2) / RATE
    return (gains @ np.sin(2 * np.pi * frequencies_hz[:, None] * times)).astype(np.float32) * 0.1


def resonance_hz(waveform):
    """Centre of the power between 300 and 1,200 Hz."""
    power = np.abs(np.fft.rfft(waveform)) ** 2
    frequencies_hz = np.fft.rfftfreq(len(waveform), 1 / RATE)
    band = (frequencies_hz > 300) & (frequencies_hz < 1200)
    return (power[band] * frequencies_hz[band]).sum() / power[band].sum()


def test_frames_put_together_again_are_the_waveform(vowel):
    again = speech_effects._istft(speech_effects._stft(vowel))[: len(vowel)]
    np.testing.assert_allclose(again[200:-200], vowel[200:-200], atol=1e-5)


def test_other_voices_move_resonances_and_time(vowel):
    changed = [speech_effects.change_voice(vowel, np.random.default_rng(seed)) for seed in range(12)]
    lengths = [len(waveform) / len(vowel) for waveform in changed]
    assert 0.7 < min(lengths) < 0.97
    assert 1.03 < max(lengths) < 1.4
    assert np.std([resonance_hz(waveform) for waveform in changed]) > 20
    for waveform in changed:
        assert waveform.dtype == np.float32
        assert np.abs(waveform).max() == pytest.approx(0.5)


def test_a_microphone_colours_and_keeps_the_length(vowel):
    changed = speech_effects.microphone(vowel, np.random.default_rng(0), RATE)
    assert changed.shape == vowel.shape
    spectra = [np.abs(np.fft.rfft(waveform))[60::60] for waveform in (vowel, changed)]
    gains_db = 20 * np.log10(spectra[1][:100] / spectra[0][:100])
    assert np.std(gains_db) > 2
    assert np.abs(np.diff(gains_db)).max() < 15


def test_a_room_adds_a_tail_after_the_sound(vowel):
    waveform = np.pad(vowel, (0, RATE // 2))
    wet = speech_effects.room(waveform, np.random.default_rng(0), RATE)
    tail = np.square(wet[len(vowel) :]).reshape(8, -1).mean(axis=1)
    assert tail[0] > 10 * tail[-1]
    assert tail[0] > 0


def test_ends_are_cut_by_a_share_and_faded(vowel):
    cuts = [speech_effects.cut_ends(vowel, np.random.default_rng(seed)) for seed in range(20)]
    lengths = np.array([len(cut) / len(vowel) for cut in cuts])
    assert lengths.min() > 0.74
    assert lengths.min() < 0.9
    assert all(abs(cut[0]) < 1e-6 and abs(cut[-1]) < 1e-6 for cut in cuts)


@pytest.mark.parametrize("samples", [700, 1500])
def test_the_shortest_sounds_can_be_changed(samples, rng):
    waveform = rng.standard_normal(samples).astype(np.float32)
    for effect in (speech_effects.change_voice, speech_effects.cut_ends):
        changed = effect(waveform, np.random.default_rng(1))
        assert len(changed) > 0.5 * samples
        assert np.isfinite(changed).all()


def test_effects_repeat_under_a_seed(vowel):
    one, other, different = (speech_effects.change_voice(vowel, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, other)
    assert len(one) != len(different) or not np.array_equal(one, different)

"""The singing voice: speech taken apart, and sung at another pitch."""

import numpy as np
import pytest

from common.synthesis.music import voice
from tests.common.synthesis.music.sounds import cents, pitch_hz, spectrum

RESONANCES_HZ = (700, 1800)


@pytest.fixture(scope="module")
def syllables():
    """Three vowels at 100 Hz under two resonances, and a hiss before each."""
    rate, rng = voice.VOICE_RATE, np.random.default_rng(0)
    frequencies_hz = np.arange(100, 8000, 100)
    gains = sum(1 / (1 + ((frequencies_hz - resonance) / 100) ** 2) for resonance in RESONANCES_HZ) + 1e-3
    times = np.arange(round(0.25 * rate)) / rate
    vowel = 0.1 * gains @ np.sin(2 * np.pi * frequencies_hz[:, None] * times + rng.uniform(0, 6, (len(gains), 1)))
    vowel *= np.hanning(len(vowel)) ** 0.3
    hiss = 0.02 * rng.standard_normal(round(0.12 * rate))
    return np.concatenate([hiss, vowel] * 3).astype(np.float32)


def test_speech_is_taken_apart_into_vowels_and_noise(syllables):
    frames = voice.speech_frames(syllables)
    assert len(frames.cepstrum) == len(frames.voicing) == len(frames.level) > len(syllables) / voice.VOICE_HOP
    nuclei = voice.syllable_nuclei(frames)
    assert len(nuclei) == 3
    seconds = np.array(nuclei) * voice.VOICE_HOP / voice.VOICE_RATE
    np.testing.assert_allclose(seconds[:, 0], [0.12, 0.49, 0.86], atol=0.04)
    np.testing.assert_allclose(seconds[:, 2], [0.37, 0.74, 1.11], atol=0.04)
    for first, top, end in nuclei:
        assert first <= top < end
        assert frames.voicing[first + 5 : end - 5].min() > 0.9
    assert frames.voicing[5:18].mean() < 0.2


def test_a_word_without_a_vowel_has_one_nucleus():
    hiss = 0.1 * np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    assert len(voice.syllable_nuclei(voice.speech_frames(hiss))) == 1


@pytest.mark.parametrize("asked_hz", [110.0, 233.1, 466.2])
def test_a_voice_sings_the_pitch_with_its_own_resonances(syllables, asked_hz):
    frames = voice.speech_frames(syllables)
    middle = voice.syllable_nuclei(frames)[1][1]
    count, rate = 200, voice.VOICE_RATE
    waveform = voice.voice(
        np.repeat(frames.cepstrum[middle : middle + 1], count, axis=0),
        np.ones(count),
        np.ones(count),
        np.full(count, asked_hz),
        np.random.default_rng(0),
    )
    assert waveform.shape == (count * voice.VOICE_HOP,) and waveform.dtype == np.float32
    assert abs(waveform.mean()) < 1e-3 * np.abs(waveform).max()
    assert abs(cents(pitch_hz(waveform, rate, asked_hz), asked_hz)) < 3
    frequencies_hz, power = spectrum(waveform, rate)
    from_partial = np.abs(frequencies_hz - asked_hz * np.round(frequencies_hz / asked_hz))
    low = frequencies_hz < 3000
    assert power[low & (from_partial < 6)].sum() > 0.95 * power[low].sum()
    band = (frequencies_hz > 400) & (frequencies_hz < 1100)
    center = (power[band] * frequencies_hz[band]).sum() / power[band].sum()
    # Harmonics are sparse where the pitch is high.
    assert abs(center - RESONANCES_HZ[0]) < 0.4 * asked_hz + 40


def test_level_survives_the_voice(syllables):
    frames = voice.speech_frames(syllables)
    count = len(frames.level)
    again = voice.voice(
        frames.cepstrum, frames.voicing, np.ones(count), np.full(count, 180.0), np.random.default_rng(0)
    )
    for first, _, end in voice.syllable_nuclei(frames):
        part = slice((first + 5) * 110, (end - 5) * 110)
        # A higher voice has fewer harmonics.
        assert abs(20 * np.log10(again[part].std() / syllables[part].std())) < 4.5
    hiss = slice(400, 2000)
    assert abs(20 * np.log10(again[hiss].std() / syllables[hiss].std())) < 4


def test_silence_stays_silent():
    cepstrum = np.zeros((50, voice.VOICE_ORDER), np.float32)
    assert not np.any(voice.voice(cepstrum, np.ones(50), np.zeros(50), np.full(50, 200.0), np.random.default_rng(0)))

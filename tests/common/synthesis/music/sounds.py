"""What the tests of music share: measurements of notes, words that buzz, and songs to be."""

from pathlib import Path

import numpy as np
import pytest

from common.synthesis.music.score import Settings, Song
from common.synthesis.music.voice import VOICE_RATE

RATES = (16000, 44100)


def spectrum(waveform, rate):
    """Return frequencies in hertz and the power of a waveform under a window with low side lobes."""
    size = 2**17
    power = np.abs(np.fft.rfft(waveform * np.blackman(len(waveform)), size)) ** 2
    return np.fft.rfftfreq(size, 1 / rate), power


def pitch_hz(waveform, rate, about_hz):
    """Find the fundamental within 80 cents whose first eight harmonics, those that there are, have the most power."""
    frequencies_hz, power = spectrum(waveform, rate)
    candidates = about_hz * 2 ** (np.arange(-80, 81, 0.5) / 1200)
    harmonics = np.arange(1, max(2, min(9, int(0.45 * rate / about_hz))))
    level = np.log(np.interp(np.outer(candidates, harmonics), frequencies_hz, power) + 1e-9 * power.max())
    return candidates[level.sum(axis=1).argmax()]


def cents(measured, expected):
    return 1200 * np.log2(measured / expected)


def draw(render, rate, *arguments, seed=0, **options):
    return render(*arguments, sample_rate=rate, rng=np.random.default_rng(seed), **options)


def assert_clean(sound: np.ndarray, velocity: float) -> None:
    """A sound is as loud as its velocity, has no mean, and ends in silence."""
    assert sound.dtype == np.float32 and sound.ndim == 1 and np.isfinite(sound).all()
    assert np.abs(sound).max() == pytest.approx(velocity, rel=1e-4)
    assert abs(sound.mean()) < 2e-3 * velocity
    assert np.abs(sound[-3:]).max() < 0.02 * velocity


def assert_no_two_alike(render, *arguments) -> None:
    """A sound is the same one under the same seed alone."""
    first, same, other = (draw(render, 16000, *arguments, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, same)
    length = min(len(first), len(other))
    assert np.abs(first[:length] - other[:length]).max() > 0.01
    rng = np.random.default_rng(0)
    again = [render(*arguments, sample_rate=16000, rng=rng) for _ in range(2)]
    assert np.array_equal(again[0], first)
    assert len(again[1]) != len(first) or not np.array_equal(again[1], first)


def vowels() -> dict[str, np.ndarray]:
    """Return words of one and two syllables that buzz at 100 Hz under two resonances."""
    rate = VOICE_RATE
    frequencies_hz = np.arange(100, 6000, 100)
    gains = sum(1 / (1 + ((frequencies_hz - resonance) / 100) ** 2) for resonance in (600, 1700)) + 1e-3
    times = np.arange(round(0.25 * rate)) / rate
    vowel = 0.1 * gains @ np.sin(2 * np.pi * frequencies_hz[:, None] * times) * np.hanning(len(times)) ** 0.3
    hiss = 0.02 * np.random.default_rng(0).standard_normal(1500)
    words = {"one": [hiss, vowel], "two": [hiss, vowel, hiss, vowel]}
    return {word: np.concatenate(parts).astype(np.float32) for word, parts in words.items()}


def song(style="pop", seconds=4.0, sample_rate=16000, channels=1, seed=1) -> Song:
    """Return a song to be; of `pop`, sung by a woman."""
    settings = Settings(Path("nowhere"), style, "en", seconds, sample_rate, channels, 0)
    return Song(settings, 1, "train", *(("en-gb", "f1", "F") if style == "pop" else ("", "", "")), seed)

"""Synthetic drums and cymbals.

A hit is a float32 waveform, shape `(samples,)`, whose peak is its velocity (0 to 1). The properties of the drum (pitch,
decay, …) are arguments; small random variations come from `rng`, so no two hits are equal.
"""

import numpy as np

from common.synthesis.music.waves import HIGHEST_PARTIAL, about_one, filtered, finish, sample_times


def kick(
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    pitch_hz: float = 50.0,
    decay_seconds: float = 0.3,
    click: float = 0.3,
) -> np.ndarray:
    """Hit a bass drum: a decaying sine that falls to `pitch_hz`, plus a click at `click` times its level."""
    decay_seconds *= about_one(rng, 0.08)
    times = sample_times(decay_seconds, sample_rate)
    body = _falling_sine(times, pitch_hz * about_one(rng, 0.02), 3.0 * velocity, 0.025 * about_one(rng, 0.1))
    body *= np.exp(-5 * times / decay_seconds)
    noise = _filtered_noise(len(times), "lowpass", 3500 * about_one(rng, 0.1), sample_rate, rng)
    return finish(body + click * velocity * noise * np.exp(-times / 0.004), velocity, sample_rate)


def snare(
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    pitch_hz: float = 190.0,
    decay_seconds: float = 0.25,
    wires: float = 0.6,
) -> np.ndarray:
    """Hit a snare drum: two modes of the skin, plus the noise of the wires at `wires` times their level."""
    decay_seconds *= about_one(rng, 0.1)
    times = sample_times(decay_seconds, sample_rate)
    pitch_hz *= about_one(rng, 0.03)
    skin = _falling_sine(times, pitch_hz, 0.6 * velocity, 0.02) + 0.5 * _falling_sine(times, 1.59 * pitch_hz, 0.2, 0.01)
    noise = _filtered_noise(len(times), "highpass", (2200 - 1000 * velocity) * about_one(rng, 0.1), sample_rate, rng)
    hit = skin * np.exp(-9 * times / decay_seconds) + 1.5 * wires * noise * np.exp(-5 * times / decay_seconds)
    return finish(hit, velocity, sample_rate)


def hi_hat(
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    pitch_hz: float = 420.0,
    decay_seconds: float = 0.07,
) -> np.ndarray:
    """Hit a hi-hat: noise and inharmonic partials above 3.5 kHz; it sounds open for decays above 0.2 s."""
    return _cymbal(sample_rate, rng, velocity, pitch_hz, decay_seconds, 3500.0)


def crash(
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    pitch_hz: float = 330.0,
    decay_seconds: float = 1.8,
) -> np.ndarray:
    """Hit a crash cymbal: noise and inharmonic partials above 1.2 kHz with a slow decay."""
    return _cymbal(sample_rate, rng, velocity, pitch_hz, decay_seconds, 1200.0)


def tom(
    sample_rate: int,
    rng: np.random.Generator,
    velocity: float = 1.0,
    pitch_hz: float = 110.0,
    decay_seconds: float = 0.4,
) -> np.ndarray:
    """Hit a tom: a sine that falls to `pitch_hz`, plus a short noise of the stick."""
    decay_seconds *= about_one(rng, 0.1)
    times = sample_times(decay_seconds, sample_rate)
    skin = _falling_sine(times, pitch_hz * about_one(rng, 0.02), 0.7 * velocity, 0.06)
    noise = _filtered_noise(len(times), "lowpass", 4000.0, sample_rate, rng)
    hit = skin * np.exp(-5 * times / decay_seconds) + 0.3 * velocity * noise * np.exp(-times / 0.01)
    return finish(hit, velocity, sample_rate)


def _cymbal(sample_rate, rng, velocity, pitch_hz, decay_seconds, lowest_hz):
    decay_seconds *= about_one(rng, 0.1)
    times = sample_times(decay_seconds, sample_rate)
    # Odd harmonics of six square waves with frequency ratios similar to those of the Roland TR-808.
    ratios = np.array([1.0, 1.483, 1.8, 2.546, 2.63, 3.897])
    partials_hz = np.outer(pitch_hz * about_one(rng, 0.02) * ratios, np.arange(1, 40, 2)).ravel()
    partials_hz = partials_hz[(partials_hz > lowest_hz) & (partials_hz < HIGHEST_PARTIAL * sample_rate)]
    partials_hz = rng.choice(partials_hz, min(24, len(partials_hz)), replace=False)
    clang = np.sin(2 * np.pi * (np.outer(times, partials_hz) + rng.random(len(partials_hz)))).sum(axis=1)
    # The limit keeps some noise above the cut-off at low sample rates.
    noise = _filtered_noise(len(times), "highpass", min(lowest_hz, 0.3 * sample_rate), sample_rate, rng)
    hit = noise / np.abs(noise).max() + 0.5 * clang / (np.abs(clang).max() + 1e-9)
    return finish(hit * np.exp(-5 * times / decay_seconds), velocity, sample_rate)


def _falling_sine(times: np.ndarray, pitch_hz: float, rise: float, fall_seconds: float) -> np.ndarray:
    """Return a sine that starts at `1 + rise` times `pitch_hz` and falls to it exponentially."""
    return np.sin(2 * np.pi * pitch_hz * (times + rise * fall_seconds * (1 - np.exp(-times / fall_seconds))))


def _filtered_noise(num_samples, kind, cutoff_hz, sample_rate, rng):
    return filtered(rng.uniform(-1, 1, num_samples), 2, kind, cutoff_hz, sample_rate)

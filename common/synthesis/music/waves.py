"""Building blocks of drums and instruments: sample times, random variation, filters and fades."""

import functools

import numpy as np
from scipy.signal import butter, sosfilt

# Highest partial as a fraction of the sample rate, slightly below Nyquist to leave a margin for vibrato and detuning.
HIGHEST_PARTIAL = 0.46
_FADE_SECONDS = 0.005


def sample_times(seconds: float, sample_rate: int) -> np.ndarray:
    """Return the times of the samples of a sound in seconds: shape `(samples,)`, at least one."""
    return np.arange(max(1, round(seconds * sample_rate))) / sample_rate


def about_one(rng: np.random.Generator, spread: float) -> float:
    """Draw a random factor near 1: normal with standard deviation `spread`, clipped at three deviations."""
    return float(np.clip(rng.normal(1, spread), 1 - 3 * spread, 1 + 3 * spread))


def filtered(waveform: np.ndarray, order: int, kind: str, cutoff_hz: float, sample_rate: int) -> np.ndarray:
    """Apply a Butterworth filter to a waveform of shape `(samples, ...)`; the cut-off is kept below Nyquist."""
    return sosfilt(_butterworth(order, kind, min(cutoff_hz, 0.45 * sample_rate), sample_rate), waveform, axis=0)


@functools.lru_cache(maxsize=64)
def _butterworth(order, kind, cutoff_hz, sample_rate):
    return butter(order, cutoff_hz, kind, fs=sample_rate, output="sos")


def finish(
    note: np.ndarray,
    velocity: float,
    sample_rate: int,
    attack_seconds: float = 0.0,
    release_seconds: float = _FADE_SECONDS,
) -> np.ndarray:
    """Remove infrasound, fade both ends, and scale the peak to the velocity: float32, `(samples,)`."""
    note = filtered(note, 1, "highpass", 20, sample_rate)
    attack, release = (min(len(note), round(seconds * sample_rate)) for seconds in (attack_seconds, release_seconds))
    if attack:
        note[:attack] *= np.linspace(0, 1, attack, endpoint=False)
    if release:
        note[len(note) - release :] *= np.linspace(1, 0, release)
    return (note * (velocity / (np.abs(note).max() + 1e-9))).astype(np.float32)

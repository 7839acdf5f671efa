"""Clips of a tone that glides, at very different levels."""

import numpy as np


def waveforms(num_clips: int = 3, num_samples: int = 4000, sample_rate: int = 16000, seed: int = 0) -> np.ndarray:
    """Make clips of a tone that glides, with some noise, at very different levels.

    Args:
        num_clips: Number of clips.
        num_samples: Length of each.
        sample_rate: In Hz.
        seed: Draws pitch, glide and noise.

    Returns:
        float32 in [-1, 1] of shape (num_clips, num_samples); the first peaks near 0.6,
        the second is 20 dB and the third 40 dB below, the fourth is as loud as the first again.
    """
    rng = np.random.default_rng(seed)
    seconds = np.arange(num_samples) / sample_rate
    pitch_hz = rng.uniform(100, sample_rate / 8, (num_clips, 1))
    glide_hz_per_second = rng.uniform(-500, 500, (num_clips, 1))
    tones = np.sin(2 * np.pi * (pitch_hz * seconds + glide_hz_per_second / 2 * seconds**2))
    noise = rng.normal(0, 0.02, (num_clips, num_samples))
    return ((0.5 * tones + noise) * 0.1 ** (np.arange(num_clips) % 3)[:, np.newaxis]).astype(np.float32)

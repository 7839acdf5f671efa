"""Floors and ceilings: what a separator that does nothing reaches, and what masks made with the truth at hand reach.

E. Vincent, R. Gribonval, M. D. Plumbley, "Oracle estimators for the benchmarking of source separation algorithms", 2007.
"""

import numpy as np
import tensorflow as tf

from common.features import spectral
from separation.config import Config
from separation.layers import EPSILON

MIXTURE = "mixture as estimate"
BINARY = "ideal binary mask"
RATIO_MAGNITUDE = "ideal ratio mask (magnitude)"
RATIO_POWER = "ideal ratio mask (power)"
NAMES = (MIXTURE, BINARY, RATIO_MAGNITUDE, RATIO_POWER)


def estimate(name: str, config: Config, mixture: np.ndarray, stems: np.ndarray) -> np.ndarray:
    """Estimate the stems of a whole track.

    Args:
        name: One of `NAMES`.
        config: Gives the framing of the masks.
        mixture: Shape `(samples, channels)`.
        stems: The true ones, shape `(stems, samples, channels)`.

    Returns:
        Estimates, the same shape.
    """
    if name == MIXTURE:
        return np.repeat(mixture[None], len(stems), axis=0)
    samples = len(mixture)
    framing = {"n_fft": config.n_fft, "hop_length": config.hop_length}
    # A short track is filled up, so that it has a frame.
    missing = max(0, config.n_fft - samples)
    observed = spectral.stft(np.pad(mixture.T, ((0, 0), (0, missing))), **framing)
    # What a song has beside the stems takes its share too.
    parts = np.concatenate([stems, (mixture - stems.sum(axis=0))[None]])
    magnitudes = tf.abs(spectral.stft(np.pad(parts.transpose(0, 2, 1), ((0, 0), (0, 0), (0, missing))), **framing))
    if name == BINARY:
        masks = tf.cast(magnitudes >= tf.reduce_max(magnitudes, axis=0, keepdims=True), tf.float32)
    else:
        shares = tf.square(magnitudes) if name == RATIO_POWER else magnitudes
        masks = shares / (tf.reduce_sum(shares, axis=0, keepdims=True) + EPSILON)
    estimates = spectral.istft(tf.cast(masks[: len(stems)], tf.complex64) * observed, **framing, length=samples)
    return tf.transpose(estimates, [0, 2, 1]).numpy()

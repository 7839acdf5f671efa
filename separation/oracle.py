"""Oracle estimators: lower and upper bounds of separation, the unprocessed mixture and ideal masks.

E. Vincent, R. Gribonval, M. D. Plumbley, "Oracle estimators for the benchmarking of source separation algorithms",
2007.
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
        config: The framing of the masks.
        mixture: Shape `(samples, channels)`.
        stems: True stems, shape `(stems, samples, channels)`.

    Returns:
        Estimated stems, same shape.
    """
    if name == MIXTURE:
        return np.repeat(mixture[None], len(stems), axis=0)
    samples = len(mixture)
    framing = {"n_fft": config.n_fft, "hop_length": config.hop_length}
    # Pad a short track, so that it has at least one frame.
    missing = max(0, config.n_fft - samples)
    observed = spectral.stft(np.pad(mixture.T, ((0, 0), (0, missing))), **framing)
    # The rest of the song, which is in no stem, takes part in the masks too.
    parts = np.concatenate([stems, (mixture - stems.sum(axis=0))[None]])
    magnitudes = tf.abs(spectral.stft(np.pad(parts.transpose(0, 2, 1), ((0, 0), (0, 0), (0, missing))), **framing))
    if name == BINARY:
        masks = tf.cast(magnitudes >= tf.reduce_max(magnitudes, axis=0, keepdims=True), tf.float32)
    else:
        weights = tf.square(magnitudes) if name == RATIO_POWER else magnitudes
        masks = weights / (tf.reduce_sum(weights, axis=0, keepdims=True) + EPSILON)
    estimates = spectral.istft(tf.cast(masks[: len(stems)], tf.complex64) * observed, **framing, length=samples)
    return tf.transpose(estimates, [0, 2, 1]).numpy()

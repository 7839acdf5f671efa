"""Multichannel Wiener filter: filters the mixture by the power and the spatial covariance of each stem.

A. A. Nugraha, A. Liutkus, E. Vincent, "Multichannel audio source separation with deep neural networks", IEEE/ACM TASLP
2016: the expectation-maximisation step, which Open-Unmix and Spleeter also offer.
"""

import tensorflow as tf

from common.features import spectral
from separation.config import Config
from separation.layers import EPSILON

# Noise floor as a fraction of the power of a bin, so that the covariance of a silent bin can be inverted.
_FLOOR = 1e-6


def filter_stems(config: Config, mixture: tf.Tensor, spectra: tf.Tensor) -> tf.Tensor:
    """Refine the estimated stems, each window on its own.

    Args:
        config: Gives `wiener_iterations` and the framing.
        mixture: Windows, shape `(batch, samples, channels)`.
        spectra: Estimated spectra of the stems, shape `(batch, stems, channels, 2, frames, bins)`.

    Returns:
        Stems, shape `(batch, stems, samples, channels)`.
    """
    framing = {"n_fft": config.n_fft, "hop_length": config.hop_length}
    observed = spectral.stft(tf.transpose(mixture, [0, 2, 1]), **framing)
    stems = tf.complex(spectra[:, :, :, 0], spectra[:, :, :, 1])
    # Put channels last: (batch, stems, frames, bins, channels).
    observed = tf.transpose(observed, [0, 2, 3, 1])
    stems = tf.transpose(stems, [0, 1, 3, 4, 2])
    for _ in range(config.wiener_iterations):
        stems = _iterate(observed, stems)
    waveforms = spectral.istft(tf.transpose(stems, [0, 1, 4, 2, 3]), **framing, length=config.window_samples)
    return tf.transpose(waveforms, [0, 1, 3, 2])


def _iterate(observed: tf.Tensor, stems: tf.Tensor) -> tf.Tensor:
    """Estimate the power and, in every bin, the spatial covariance of each stem, and filter the mixture."""
    channels = observed.shape[-1]
    power = tf.reduce_mean(tf.square(tf.abs(stems)), axis=-1)
    outer = stems[..., :, None] * tf.math.conj(stems[..., None, :])
    covariance = tf.reduce_sum(outer, axis=2, keepdims=True) / tf.cast(
        tf.reduce_sum(power, axis=2, keepdims=True)[..., None, None] + EPSILON, tf.complex64
    )
    own = tf.cast(power[..., None, None], tf.complex64) * covariance
    floor = tf.reduce_sum(power, axis=1) * _FLOOR + EPSILON**2
    identity = tf.eye(channels, dtype=tf.complex64)
    total = tf.reduce_sum(own, axis=1) + tf.cast(floor[..., None, None], tf.complex64) * identity
    gain = tf.matmul(own, tf.linalg.inv(total)[:, None])
    return tf.matmul(gain, observed[:, None, ..., None])[..., 0]

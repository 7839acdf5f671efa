"""Losses: the distance between estimated and true stems, on masks, magnitudes or waveforms."""

import tensorflow as tf

from common.features import spectral
from separation.config import Config
from separation.layers import EPSILON

_RESOLUTIONS = (2048, 1024, 512)
# Fraction of a stem's energy, -30 dB.
_SMALLEST_DISTORTION = 1e-3


def ideal_binary_masks(magnitudes: tf.Tensor) -> tf.Tensor:
    """Return the ideal binary masks.

    Args:
        magnitudes: Shape `(batch, stems, …)`.

    Returns:
        Same shape: 1 where the stem is the loudest, else 0; several stems have 1 in case of a tie.
    """
    return tf.cast(magnitudes >= tf.reduce_max(magnitudes, axis=1, keepdims=True), tf.float32)


def stem_magnitudes(config: Config, stems: tf.Tensor) -> tf.Tensor:
    """Return the magnitude spectrograms of stems.

    Args:
        config: The framing.
        stems: Shape `(batch, stems, samples, channels)`.

    Returns:
        Shape `(batch, stems, channels, frames, bins)`.
    """
    waveforms = tf.transpose(stems, [0, 1, 3, 2])
    return spectral.magnitude(*spectral.stft_parts(waveforms, config.n_fft, config.hop_length))


def bce(config: Config, truth: tf.Tensor, estimate: dict[str, tf.Tensor]) -> tf.Tensor:
    """Binary cross-entropy between the masks and the ideal binary masks, as in the student report."""
    targets = ideal_binary_masks(stem_magnitudes(config, truth)[..., :-1])
    masks = tf.clip_by_value(estimate["masks"], EPSILON, 1 - EPSILON)
    return -tf.reduce_mean(targets * tf.math.log(masks) + (1 - targets) * tf.math.log(1 - masks))


def magnitude_l1(config: Config, truth: tf.Tensor, estimate: dict[str, tf.Tensor]) -> tf.Tensor:
    """Mean absolute difference of magnitudes (Jansson et al. 2017), normalised by the sum of the window."""
    spectra = estimate["spectra"]
    estimated = spectral.magnitude(spectra[:, :, :, 0], spectra[:, :, :, 1])
    difference = tf.abs(estimated - stem_magnitudes(config, truth))
    return tf.reduce_mean(difference) * 2 / config.n_fft


def waveform_l1(config: Config, truth: tf.Tensor, estimate: dict[str, tf.Tensor]) -> tf.Tensor:
    """Mean absolute difference of waveforms."""
    return tf.reduce_mean(tf.abs(estimate["stems"] - truth))


def si_sdr(config: Config, truth: tf.Tensor, estimate: dict[str, tf.Tensor]) -> tf.Tensor:
    """Negative scale-invariant signal-to-distortion ratio in dB / 10, plus a penalty on level and sign.

    J. Le Roux et al., "SDR – half-baked or well done?", ICASSP 2019; the mean is not removed. SI-SDR ignores the level
    and the sign of a stem, so alone it gives stems that do not add up to the mixture. The penalty is `(scale - 1)^2`,
    where `scale` is the least-squares gain of the estimate; an inverted estimate counts as distortion. Ratios are
    limited to 30 dB (S. Wisdom et al., "Unsupervised sound separation using mixture invariant training", NeurIPS 2020):
    otherwise the faint stems of an untrained network have gradients that dominate those of the penalty.

    Returns the mean over the stems and channels that are not silent.
    """
    estimated = estimate["stems"]
    energy = tf.reduce_sum(tf.square(truth), axis=2)
    scale = tf.reduce_sum(truth * estimated, axis=2) / (energy + EPSILON)
    target = tf.nn.relu(scale)[:, :, None] * truth
    distortion = tf.reduce_sum(tf.square(estimated - target), axis=2)
    floor = _SMALLEST_DISTORTION * energy + EPSILON
    ratio = tf.math.log((tf.reduce_sum(tf.square(target), axis=2) + floor) / (distortion + floor))
    values = tf.square(scale - 1) - ratio / tf.math.log(10.0)
    sounds = tf.cast(energy > 1e-4 * truth.shape[2] * 1e-3, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(values * sounds), tf.reduce_sum(sounds))


def multi_stft(config: Config, truth: tf.Tensor, estimate: dict[str, tf.Tensor]) -> tf.Tensor:
    """Mean absolute difference of magnitudes at several resolutions (R. Yamamoto et al., ICASSP 2020, linear part)."""
    total = 0.0
    for n_fft in _RESOLUTIONS:
        if n_fft > config.window_samples:
            continue
        parts = [
            spectral.stft_parts(tf.transpose(waveforms, [0, 1, 3, 2]), n_fft, n_fft // 4, center=False)
            for waveforms in (estimate["stems"], truth)
        ]
        difference = tf.abs(spectral.magnitude(*parts[0]) - spectral.magnitude(*parts[1]))
        # White noise has the same loss at every resolution.
        total += tf.reduce_mean(difference) / (n_fft * 3 / 8) ** 0.5
    return total / len(_RESOLUTIONS)


FUNCTIONS = {function.__name__: function for function in (bce, magnitude_l1, waveform_l1, si_sdr, multi_stft)}

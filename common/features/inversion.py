"""Convert mel spectrograms to waveforms, as pure TensorFlow functions: `(..., frames, bands)` to `(..., samples)`.

Every function runs eagerly, in a graph with any number of clips and frames, and in a SavedModel. The same seed gives
the same waveform, and a clip gives the same waveform alone and in any batch. `spectral.griffin_lim` also runs in
LiteRT, with matrix products for transforms of 400 samples; `griffin_lim` here takes 0.6 times as long at that length.

Example:
    >>> import tensorflow as tf
    >>> waveform = tf.sin(2 * 3.14159265 * 440 * tf.range(22000, dtype=tf.float32) / 22050)
    >>> power = spectral.mel_spectrogram(waveform, sample_rate=22050, num_mels=64, n_fft=400, hop_length=200)
    >>> mel_db = spectral.power_to_db(power, top_db=None)
    >>> mel_db_to_waveform(mel_db, sample_rate=22050, num_mels=64, n_fft=400, hop_length=200).shape
    TensorShape([22000])
"""

import math

import numpy as np
import tensorflow as tf

from common.errors import UserError
from common.features import checks, spectral
from common.features.framing import frame, overlap_and_add

# Power of silence in decibels, from the `amin` of `spectral.power_to_db`.
FLOOR_DB = -100.0

# Limit for the change of log power in one update; values that tend to 0 would take very large steps.
_LARGEST_STEP = math.log(10.0)


def mel_to_power(mel, sample_rate: int, num_mels: int = 128, n_fft: int = 2048, num_iterations: int = 20, **bands):
    """Find a nonnegative power spectrogram with the given mel spectrogram.

    The solution is not unique; this one is as flat within a band as the neighbouring bands allow. It starts flat, and
    multiplicative updates minimise the Kullback-Leibler divergence, which fits quiet bands as closely as loud ones. The
    least squares of `librosa.feature.inverse.mel_to_stft` fit only loud bands. The updates use momentum: 20 of them
    come as close as about 100 without.

    Lee and Seung, "Algorithms for non-negative matrix factorization" (2001), with the factor of the filters fixed;
    Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k^2)" (1983), on logarithms.

    Args:
        mel: Power in mel bands, shape (..., frames, num_mels); negative values count as 0.
        sample_rate: In Hz.
        num_mels: Number of bands.
        n_fft: Length of the Fourier transform in samples.
        num_iterations: Number of updates.
        **bands: Further arguments of `spectral.mel_filterbank`.

    Returns:
        float32 of shape (..., frames, 1 + n_fft // 2); 0 in bins outside all bands.

    Raises:
        UserError: The last axis of `mel` is not `num_mels`.
        UserError: `num_iterations` is below 1.
    """
    mel = tf.maximum(tf.cast(mel, tf.float32), 0.0)
    if mel.shape[-1] not in (None, num_mels):
        raise UserError(f"the mel spectrogram has {mel.shape[-1]} bands, num_mels is {num_mels}; use the same for both")
    checks.count("num_iterations", num_iterations)
    filters = spectral.mel_filterbank(sample_rate, n_fft, num_mels, **bands)
    totals = filters.sum(axis=1, keepdims=True)
    shares = tf.constant(np.divide(filters, totals, out=np.zeros_like(filters), where=totals > 0).T)
    filters = tf.constant(filters)

    def update(index, power, logarithm, last):
        momentum = tf.cast(index, tf.float32) / tf.cast(index + 3, tf.float32)
        step = tf.clip_by_value(logarithm - last, -_LARGEST_STEP, _LARGEST_STEP)
        ahead = power * tf.exp(momentum * step)
        ratio = mel / (tf.tensordot(ahead, filters, axes=1) + 1e-20)
        power = ahead * tf.tensordot(ratio, shares, axes=1)
        return index + 1, power, tf.math.log(power + 1e-30), logarithm

    flat = tf.repeat(tf.reduce_mean(mel, axis=-1, keepdims=True), 1 + n_fft // 2, axis=-1)
    logarithm = tf.math.log(flat + 1e-30)
    start = (0, flat, logarithm, logarithm)
    return tf.while_loop(lambda index, *_: index < num_iterations, update, start)[1]


def griffin_lim(magnitude, hop_length: int = 512, num_iterations: int = 64, momentum: float = 0.99, seed=0):
    """Find a waveform for a magnitude spectrogram with centred Hann windows, as `librosa.griffinlim`.

    Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm" (2013). All clips of a batch start from the same
    random phases, those of `spectral.griffin_lim`.

    Args:
        magnitude: Nonnegative, shape (..., frames, 1 + n_fft // 2), `n_fft` even.
        hop_length: Hop between frames in samples, less than `n_fft`.
        num_iterations: Number of iterations.
        momentum: 0 for the algorithm of Griffin and Lim (1984); below 1.
        seed: Seed of the initial phases: an integer, or a scalar integer tensor.

    Returns:
        float32 of shape (..., hop_length * (frames - 1)).

    Raises:
        UserError: `hop_length` leaves gaps between the windows.
        UserError: `num_iterations` is below 1, or `momentum` is out of range.
    """
    magnitude = tf.cast(magnitude, tf.float32)
    n_fft = 2 * (magnitude.shape[-1] - 1)
    checks.count("hop_length", hop_length, maximum=n_fft - 1, why=f"n_fft is {n_fft}")
    checks.griffin_lim(num_iterations, momentum)
    to_waveform, to_spectrum = _transforms(n_fft, hop_length, num_frames=tf.shape(magnitude)[-2])
    weight = momentum / (1 + momentum)

    def improve(index, spectrum, last):
        new = to_spectrum(to_waveform(spectrum))
        ahead = new - weight * last
        # `tf.abs` of complex numbers checks each value for overflow, which makes the whole loop 1.4 times as slow.
        real, imaginary = tf.math.real(ahead), tf.math.imag(ahead)
        scale = magnitude / (tf.sqrt(tf.square(real) + tf.square(imaginary)) + 1e-16)
        return index + 1, tf.ensure_shape(tf.complex(scale * real, scale * imaginary), magnitude.shape), new

    # XLA uses another generator by default, which would give other phases.
    seeds = tf.stack([tf.cast(seed, tf.int64), 0])
    phase = tf.random.stateless_uniform(tf.shape(magnitude)[-2:], seeds, 0.0, 2 * np.pi, alg="philox")
    spectrum = tf.complex(magnitude * tf.cos(phase), magnitude * tf.sin(phase))
    start = (0, spectrum, tf.zeros_like(spectrum))
    return to_waveform(tf.while_loop(lambda index, *_: index < num_iterations, improve, start)[1])


def mel_db_to_waveform(
    mel_db,
    sample_rate: int,
    hop_length: int = 512,
    num_iterations: int = 64,
    momentum: float = 0.99,
    seed=0,
    **mel,
):
    """Find a waveform for a mel spectrogram in decibels with `mel_to_power` and `griffin_lim`.

    Args:
        mel_db: 10 * log10(max(power, 1e-10)) in mel bands, shape (..., frames, num_mels). `FLOOR_DB` and below are
            silence.
        sample_rate: In Hz.
        hop_length, num_iterations, momentum, seed: As in `griffin_lim`.
        **mel: `num_mels`, `n_fft` and further arguments of `spectral.mel_filterbank` that made the spectrogram.

    Returns:
        float32 of shape (..., hop_length * (frames - 1)); it may exceed [-1, 1].

    Raises:
        UserError: As `mel_to_power` and `griffin_lim`.
    """
    mel_db = tf.cast(mel_db, tf.float32)
    # Values at the floor have a rounding error from the logarithm.
    power = tf.where(mel_db > FLOOR_DB + 1e-3, tf.pow(10.0, mel_db / 10), 0.0)
    magnitude = tf.sqrt(mel_to_power(power, sample_rate, **mel))
    return griffin_lim(magnitude, hop_length, num_iterations, momentum, seed)


def _transforms(n_fft, hop_length, num_frames):
    """Return faster versions of `spectral.istft` and `spectral.stft` for repeated use with centred Hann windows.

    They use the FFT at every length, and compute the sum of the squared windows once.
    """
    window = spectral.window_samples("hann", None, n_fft)
    margin = n_fft // 2
    overlap = overlap_and_add(tf.broadcast_to(tf.square(window), [num_frames, n_fft]), hop_length)[margin:-margin]
    overlap = tf.where(overlap > 1e-6, overlap, 1.0)

    def to_waveform(spectrum):
        frames = tf.signal.irfft(spectrum) * window
        return overlap_and_add(frames, hop_length)[..., margin:-margin] / overlap

    def to_spectrum(waveform):
        waveform = tf.pad(waveform, [[0, 0]] * (waveform.shape.rank - 1) + [[margin, margin]])
        return tf.signal.rfft(frame(waveform, n_fft, hop_length) * window)

    return to_waveform, to_spectrum

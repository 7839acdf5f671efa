"""Fourier transforms of real frames, with real and imaginary parts as separate tensors, which LiteRT supports.

Example:
    >>> import tensorflow as tf
    >>> real, imaginary = rfft(tf.ones((2, 400)))
    >>> real.shape, irfft(real, imaginary, 400).shape
    (TensorShape([2, 201]), TensorShape([2, 400]))
"""

import functools

import numpy as np
import tensorflow as tf

from common.features.framing import cut

# Up to this length, transforms whose length is not a power of two are matrix products, the only form LiteRT can run.
MAX_MATRIX_LENGTH = 1024


def rfft(frames):
    """Transform real frames (..., n); returns real and imaginary parts (..., 1 + n // 2)."""
    n_fft = frames.shape[-1]
    if _as_matrix(n_fft):
        cosines, sines = _fourier_matrices(n_fft)
        return project(frames, cosines), project(frames, -sines)
    spectrum = tf.signal.rfft(frames)
    return tf.math.real(spectrum), tf.math.imag(spectrum)


def irfft(real, imaginary, n_fft):
    """Transform half spectra (..., 1 + n_fft // 2) back to real frames (..., n_fft)."""
    # All other bins of the half spectrum represent two bins of the full spectrum.
    single = [0] if n_fft % 2 else [0, -1]
    if _as_matrix(n_fft):
        cosines, sines = _fourier_matrices(n_fft)
        weights = np.full((n_fft // 2 + 1, 1), 2 / n_fft, np.float32)
        weights[single] = 1 / n_fft
        return project(real, weights * cosines.T) - project(imaginary, weights * sines.T)
    # LiteRT has no inverse FFT. The Hartley transform is its own inverse and can be computed with the forward FFT.
    paired = np.ones(n_fft // 2 + 1, np.float32)
    paired[single] = 0
    return _hartley(*rfft(_hartley(real, imaginary * paired, n_fft)), n_fft) / n_fft


def _hartley(real, imaginary, n_fft):
    """Expand a half spectrum (..., 1 + n_fft // 2) to the full real minus imaginary part, (..., n_fft)."""
    mirrored = tf.reverse(cut(real + imaginary, 1, (n_fft + 1) // 2 - 1), axis=[-1])
    return tf.concat([real - imaginary, mirrored], axis=-1)


def _as_matrix(n_fft):
    return n_fft & (n_fft - 1) != 0 and n_fft <= MAX_MATRIX_LENGTH


@functools.lru_cache(maxsize=8)
def _fourier_matrices(n_fft):
    """Return cosines and sines, each (n_fft, 1 + n_fft // 2)."""
    turns = np.outer(np.arange(n_fft), np.arange(n_fft // 2 + 1)) % n_fft
    angles = 2 * np.pi / n_fft * turns
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def project(values, matrix):
    """Multiply (..., rows) by (rows, columns) in a single matrix product, not one per clip."""
    return tf.tensordot(values, matrix, axes=1)

import numpy as np
import pytest
import tensorflow as tf

from common.features import fourier


@pytest.mark.parametrize("length", [2, 3, 64, 100, 301, 512, fourier.MAX_MATRIX_LENGTH + 2])
def test_transforms_are_numpy_s_and_undo_each_other(rng, length):
    frames = rng.normal(size=(2, 3, length)).astype(np.float32)
    real, imaginary = fourier.rfft(frames)
    expected = np.fft.rfft(frames)
    np.testing.assert_allclose(real, expected.real, atol=1e-4)
    np.testing.assert_allclose(imaginary, expected.imag, atol=1e-4)
    np.testing.assert_allclose(fourier.irfft(real, imaginary, length), frames, atol=1e-5)


def test_a_half_spectrum_that_no_real_frame_has_is_numpy_s_too(rng):
    spectrum = rng.normal(size=(2, 33)) + 1j * rng.normal(size=(2, 33))
    parts = (tf.constant(part, tf.float32) for part in (spectrum.real, spectrum.imag))
    np.testing.assert_allclose(fourier.irfft(*parts, 64), np.fft.irfft(spectrum), atol=1e-5)

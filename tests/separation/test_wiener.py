import dataclasses

import numpy as np
import tensorflow as tf

from common.features import spectral
from separation import metrics, wiener
from separation.config import VARIANTS

CONFIG = dataclasses.replace(
    VARIANTS["tiny"], sample_rate=8000, n_fft=512, hop_length=128, num_frames=64, wiener_iterations=1
)


def spectra_of(stems):
    spectrum = spectral.stft(tf.transpose(stems, [0, 1, 3, 2]), CONFIG.n_fft, CONFIG.hop_length)
    return tf.stack([tf.math.real(spectrum), tf.math.imag(spectrum)], axis=3)


def panned(rng):
    """Two noises from different sides, in the same band."""
    sources = rng.normal(0, 0.1, (1, 2, CONFIG.window_samples, 1))
    return (sources * np.array([[0.9, 0.1], [0.2, 0.8]])[None, :, None, :]).astype(np.float32)


def test_sides_tell_sources_apart_that_magnitudes_do_not(rng):
    stems = panned(rng)
    mixture = stems.sum(axis=1)
    # Estimates as a mask with the mixture's phase gives them: some of the other source is left.
    blurred = 0.7 * stems + 0.3 * stems[:, ::-1]
    before = metrics.usdr(stems[0], blurred[0])
    after = metrics.usdr(stems[0], wiener.filter_stems(CONFIG, mixture, spectra_of(blurred))[0].numpy())
    assert (after > before + 2).all()


def test_in_mono_it_shares_out_the_mixture_by_power(rng):
    stems = rng.normal(0, 0.1, (1, 2, CONFIG.window_samples, 1)).astype(np.float32)
    mixture = stems.sum(axis=1)
    found = wiener.filter_stems(CONFIG, mixture, spectra_of(stems)).numpy()
    np.testing.assert_allclose(found.sum(axis=1), mixture, atol=1e-4)
    power = np.square(np.abs(spectral.stft(stems[..., 0], CONFIG.n_fft, CONFIG.hop_length)))
    share = power / power.sum(axis=1, keepdims=True)
    observed = spectral.stft(mixture[..., 0], CONFIG.n_fft, CONFIG.hop_length)
    expected = spectral.istft(
        tf.cast(share, tf.complex64) * observed[:, None], CONFIG.n_fft, CONFIG.hop_length, length=CONFIG.window_samples
    )
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-3)


def test_silence_stays_silent():
    silence = np.zeros((1, CONFIG.window_samples, 2), np.float32)
    stems = np.zeros((1, 2, CONFIG.window_samples, 2), np.float32)
    assert not np.nan_to_num(wiener.filter_stems(CONFIG, silence, spectra_of(stems)).numpy(), nan=1.0).any()

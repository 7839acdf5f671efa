import librosa
import numpy as np
import pytest
import tensorflow as tf

from separation import layers
from tests.checks import check_layer


@pytest.fixture
def spectrum(rng):
    return rng.normal(size=(2, 2, 2, 6, 9)).astype(np.float32)


def test_a_network_sees_loud_and_soft_songs_alike(spectrum):
    for parts in (False, True):
        layer = layers.SpectrumFeatures(parts)
        loud = layer(spectrum).numpy()
        assert loud.shape == (2, 6, 8, 4 if parts else 2)
        np.testing.assert_allclose(layer(spectrum * 1e-3).numpy(), loud, rtol=1e-3)
    np.testing.assert_allclose(np.mean(np.square(loud)), 1, rtol=0.2)
    # Channels stay channels: the second channel's real part is feature 2.
    np.testing.assert_allclose(
        loud[1, 3, 5, 2] * layers.level(spectrum)[1, 0, 0, 0, 0], spectrum[1, 1, 0, 3, 5], rtol=1e-5
    )


def test_silence_has_features(spectrum):
    assert np.isfinite(layers.SpectrumFeatures(True)(0 * spectrum)).all()


def test_answers_are_unfolded_in_order():
    answers = tf.reshape(tf.range(2 * 3 * 4 * 12), (2, 3, 4, 12))
    unfolded = layers.unfold(answers, num_stems=3, num_parts=2).numpy()
    assert unfolded.shape == (2, 3, 2, 2, 3, 4)
    for stem in range(3):
        for channel in range(2):
            for part in range(2):
                np.testing.assert_array_equal(
                    unfolded[:, stem, channel, part], answers[..., stem * 4 + channel * 2 + part]
                )


def test_masks_are_sigmoids_or_sum_to_one(rng):
    answers = rng.normal(size=(2, 6, 8, 6)).astype(np.float32)
    masks = layers.Masks(3)(answers).numpy()
    assert masks.shape == (2, 3, 2, 6, 8)
    np.testing.assert_allclose(masks[1, 2, 0, 3, 4], 1 / (1 + np.exp(-answers[1, 3, 4, 4])), rtol=1e-5)
    np.testing.assert_allclose(layers.Masks(3, softmax=True)(answers).numpy().sum(axis=1), 1, rtol=1e-5)


def test_what_becomes_of_masks_outside_training(spectrum, rng):
    masks = rng.uniform(size=(2, 3, 2, 6, 8)).astype(np.float32)
    plain = layers.MaskedSpectra("sigmoid")([spectrum, masks]).numpy()
    assert plain.shape == (2, 3, 2, 2, 6, 9)
    np.testing.assert_allclose(plain[:, 1, ..., :-1], spectrum[..., :-1] * masks[:, 1, :, None], rtol=1e-5)
    # The highest bin follows the one below it.
    np.testing.assert_allclose(plain[:, 1, ..., -1], spectrum[..., -1] * masks[:, 1, :, None, :, -1], rtol=1e-5)
    binary = layers.MaskedSpectra("binary")
    np.testing.assert_allclose(binary([spectrum, masks], training=True), plain)
    np.testing.assert_allclose(
        binary([spectrum, masks])[:, 0, ..., :-1], spectrum[..., :-1] * (masks[:, 0, :, None] > 0.5)
    )
    shares = layers.MaskedSpectra("ratio")([spectrum, masks]).numpy()
    np.testing.assert_allclose(shares.sum(axis=1), spectrum, rtol=1e-4, atol=1e-6)
    share = masks[:, 0] ** 2 / (masks**2).sum(axis=1)
    np.testing.assert_allclose(shares[:, 0, ..., :-1], spectrum[..., :-1] * share[:, :, None], rtol=1e-3)


def test_complex_answers(spectrum, rng):
    answers = rng.normal(size=(2, 6, 8, 12)).astype(np.float32)
    values = layers.unfold(answers, 3, 2).numpy()
    masked = layers.ComplexSpectra(3, masks=True)([spectrum, answers]).numpy()
    as_complex = spectrum[:, :, 0] + 1j * spectrum[:, :, 1]
    expected = as_complex[:, None, ..., :-1] * (values[:, :, :, 0] + 1j * values[:, :, :, 1])
    np.testing.assert_allclose(masked[:, :, :, 0, :, :-1], expected.real, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(masked[:, :, :, 1, :, :-1], expected.imag, rtol=1e-4, atol=1e-5)
    mapped = layers.ComplexSpectra(3, masks=False)
    np.testing.assert_allclose(mapped([10 * spectrum, answers]), 10 * mapped([spectrum, answers]).numpy(), rtol=1e-5)


def test_there_and_back(rng):
    framing = {"n_fft": 256, "hop_length": 64}
    mixture = rng.normal(size=(2, 1024, 3)).astype(np.float32)
    spectrum = layers.MixtureSpectrum(**framing)(mixture).numpy()
    assert spectrum.shape == (2, 3, 2, 17, 129)
    expected = librosa.stft(mixture[1, :, 2], n_fft=256, hop_length=64).T
    np.testing.assert_allclose(spectrum[1, 2, 0], expected.real, atol=1e-3)
    np.testing.assert_allclose(spectrum[1, 2, 1], expected.imag, atol=1e-3)
    stems = layers.StemWaveforms(1024, **framing)(np.stack([spectrum, 2 * spectrum], axis=1)).numpy()
    np.testing.assert_allclose(stems, np.stack([mixture, 2 * mixture], axis=1), atol=1e-4)


def test_a_dense_layer_over_frequencies(rng):
    inputs = rng.normal(size=(2, 6, 8, 4)).astype(np.float32)
    layer = layers.FrequencyDense(3)
    outputs = layer(inputs).numpy()
    np.testing.assert_allclose(outputs, np.einsum("btfc,fg->btgc", inputs, layer.kernel.numpy()), atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [layers.SpectrumFeatures(True), layers.Masks(2), layers.Masks(2, softmax=True), layers.FrequencyDense(3)],
)
def test_layers_are_sound(layer, spectrum, rng):
    inputs = spectrum if isinstance(layer, layers.SpectrumFeatures) else rng.normal(size=(2, 6, 8, 4)).astype("float32")
    check_layer(layer, inputs)


def test_spectra_and_waveforms_are_sound(rng):
    framing = {"n_fft": 64, "hop_length": 16}
    mixture = rng.normal(0, 0.3, (2, 128, 2)).astype(np.float32)
    check_layer(layers.MixtureSpectrum(**framing), mixture)
    stems = np.stack([layers.MixtureSpectrum(**framing)(mixture)] * 3, axis=1)
    check_layer(layers.StemWaveforms(128, **framing), stems)

import dataclasses

import librosa
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.example_corpora.riffs import riff
from common.errors import UserError
from generation.config import VARIANTS
from generation.spectra import Spectra, resize


@pytest.fixture(scope="module")
def config():
    return dataclasses.replace(VARIANTS["tiny"], num_mels=64)


@pytest.fixture(scope="module")
def waveforms(config):
    return np.stack([riff(config.clip_seconds, np.random.default_rng(seed)) for seed in range(6)])


@pytest.fixture(scope="module")
def spectra(config, waveforms):
    layer = Spectra(config)
    layer.adapt([tf.constant(waveforms)])
    return layer


def test_decibels_are_librosas(spectra, waveforms, config):
    power = librosa.feature.melspectrogram(
        y=waveforms[0], sr=config.sample_rate, n_fft=400, hop_length=200, n_mels=64, pad_mode="constant"
    )
    expected = librosa.power_to_db(power, top_db=None).T
    np.testing.assert_allclose(spectra.decibels(waveforms[:1])[0], expected, atol=2e-3)


def test_scaled_spectrograms_fill_their_range_and_can_be_undone(spectra, waveforms):
    scaled = spectra(waveforms).numpy()
    assert scaled.min() == -1 and scaled.max() == 1 and 0.2 < scaled.std() < 0.8
    inside = np.abs(scaled) < 1
    assert inside.mean() > 0.98
    decibels = spectra.decibels(waveforms).numpy()
    np.testing.assert_allclose(spectra.unscaled(scaled).numpy()[inside], decibels[inside], atol=1e-3)


def test_bands_can_have_scales_of_their_own(config, waveforms):
    layer = Spectra(dataclasses.replace(config, scaling="bands"))
    layer.adapt([tf.constant(waveforms)])
    scaled = layer(waveforms).numpy()
    np.testing.assert_allclose(scaled.mean(axis=(0, 1)), 0, atol=0.05)
    assert np.all(scaled.std(axis=(0, 1)) < 1 / 3 + 1e-3) and np.all(scaled.std(axis=(0, 1)) > 0.25)


def test_specgans_bins_come_back_as_sound():
    config = VARIANTS["specgan"]
    time = np.arange(config.num_samples) / config.sample_rate
    tone = (0.3 * np.sin(2 * np.pi * 1000 * time) + 0.001 * np.random.default_rng(0).normal(size=len(time)))[None]
    layer = Spectra(config)
    layer.adapt([tf.constant(tone, tf.float32)])
    scaled = layer(tf.constant(tone, tf.float32))
    assert scaled.shape == (1, 128, 128)
    spectrum = np.abs(np.fft.rfft(layer.waveforms(scaled)[0].numpy()))
    peak_hz = spectrum.argmax() * config.sample_rate / (2 * (len(spectrum) - 1))
    assert peak_hz == pytest.approx(1000, abs=config.sample_rate / config.n_fft)


def test_mel_spectrograms_come_back_as_sound(spectra, waveforms):
    scaled = spectra(waveforms[:2])
    back = spectra.waveforms(scaled)
    again = spectra.decibels(back)[:, : scaled.shape[1]].numpy()
    loud = scaled.numpy()[:, : again.shape[1]] > 0
    difference = np.abs(again - spectra.unscaled(scaled).numpy()[:, : again.shape[1]])
    assert np.median(difference[loud]) < 2.0


def test_the_graph_of_sound_follows_the_scale_and_takes_any_length(config, waveforms):
    layer = Spectra(config)
    # Of the function that is traced: operation by operation.
    eagerly = layer.waveforms.python_function
    for factor, frames in ((1.0, 40), (0.1, 40), (0.1, 60)):
        layer.adapt([tf.constant(factor * waveforms)])
        scaled = layer(waveforms[:2])[:, :frames]
        found, expected = layer.waveforms(scaled).numpy(), eagerly(scaled).numpy()
        assert found.shape == (2, (frames - 1) * config.hop_length)
        np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_excerpts_without_music_are_refused(config):
    with pytest.raises(UserError, match="contain no music"):
        Spectra(config).adapt([tf.zeros((2, config.num_samples))])


def test_resizing_leaves_what_fits_and_averages_what_shrinks(rng):
    pictures = tf.constant(rng.normal(size=(2, 64, 64, 1)), tf.float32)
    assert resize(pictures, (64, 64)) is pictures
    small = resize(pictures, (32, 32)).numpy()
    assert small.shape == (2, 32, 32, 1) and small.std() < 0.6
    flat = resize(tf.ones((1, 100, 64, 1)), (32, 32)).numpy()
    np.testing.assert_allclose(flat, 1, atol=1e-5)

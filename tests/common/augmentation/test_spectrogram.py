"""Layers that change spectrograms in training, and only there."""

import keras
import librosa
import numpy as np
import pytest
import tensorflow as tf

from common.augmentation.spectrogram import RandomEqualizer, SpecAugment, TimeStretch, VocalTractPerturbation
from tests.checks import check_layer

LAYERS = {
    "spec_augment": lambda **options: SpecAugment(seed=1, **options),
    "vocal_tract": lambda **options: VocalTractPerturbation(0.2, seed=1, **options),
    "time_stretch": lambda **options: TimeStretch(0.2, seed=1, **options),
    "equalizer": lambda **options: RandomEqualizer(3.0, seed=1, **options),
}


@pytest.fixture
def spectrograms(rng):
    return rng.normal(2, 1, (50, 60, 40)).astype(np.float32)


def masked(layer, spectrograms):
    """Return the shares of frames and bins that are hidden whole, as booleans (batch, frames), (batch, bins)."""
    hidden = layer(spectrograms, training=True).numpy() != spectrograms
    return hidden.all(axis=2), hidden.all(axis=1)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_passes_the_layer_check(name, spectrograms):
    check_layer(LAYERS[name](), spectrograms[:3])


def test_spec_augment_hides_bands_of_the_drawn_widths_and_nothing_else(spectrograms):
    layer = SpecAugment(1, 20, 1, 7, seed=1)
    outputs = layer(spectrograms, training=True).numpy()
    hidden = outputs != spectrograms
    frames, bins = hidden.all(axis=2), hidden.all(axis=1)
    np.testing.assert_array_equal(hidden, frames[:, :, np.newaxis] | bins[:, np.newaxis, :])
    means = np.broadcast_to(spectrograms.mean(axis=(1, 2), keepdims=True), hidden.shape)
    np.testing.assert_allclose(outputs[hidden], means[hidden], rtol=1e-5)
    for lines, widest in ((frames, 20), (bins, 7)):
        widths = lines.sum(axis=1)
        # One band: it begins and ends once.
        assert np.all(np.abs(np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(int), axis=1)).sum(axis=1) <= 2)
        assert widths.min() <= 1 and widths.max() > 0.8 * widest and widths.max() <= widest


def test_spec_augment_reaches_the_first_and_the_last_line(spectrograms):
    layer = SpecAugment(1, 20, 1, 7, seed=1)
    frames, bins = (
        np.concatenate(lines) for lines in zip(*(masked(layer, spectrograms) for _ in range(20)), strict=True)
    )
    assert frames.any(axis=0).all() and bins.any(axis=0).all()


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_happens_outside_training(name, spectrograms):
    np.testing.assert_array_equal(LAYERS[name]()(spectrograms), spectrograms)


def test_spec_augment_takes_masks_wider_than_the_clip(spectrograms):
    frames, _ = masked(SpecAugment(1, 20, 0, 0, seed=1), spectrograms[:, :5])
    assert frames.sum(axis=1).max() == 5


@pytest.mark.parametrize("name", LAYERS)
def test_every_call_draws_anew_and_repeats_from_a_saved_state(name, spectrograms, tmp_path):
    model = keras.Sequential([keras.Input(spectrograms.shape[1:]), LAYERS[name]()])
    first = model(spectrograms, training=True).numpy()
    model.save(tmp_path / "model.keras")
    second = model(spectrograms, training=True).numpy()
    assert np.any(first != second)
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(resumed(spectrograms, training=True), second)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_spec_augment_trains_in_graphs(spectrograms, jit_compile, policy):
    layer = SpecAugment(seed=1, dtype=policy)
    layer.build(spectrograms.shape)
    outputs = tf.function(lambda x: layer(x, training=True), jit_compile=jit_compile)(spectrograms)
    assert outputs.dtype == layer.compute_dtype
    # XLA draws other numbers from the same seed, so only their kind is compared: inputs or the mean of the clip.
    outputs = tf.cast(outputs, tf.float32).numpy()
    kept = np.isclose(outputs, spectrograms, rtol=0.01)
    filled = np.isclose(outputs, spectrograms.mean(axis=(1, 2), keepdims=True), rtol=0.01)
    assert np.all(kept | filled) and 0.1 < filled.mean() < 0.7


def test_spec_augment_hides_by_the_mean_in_float16(rng):
    soft = rng.normal(-13.0, 1.0, (4, 101, 80)).astype(np.float32)
    outputs = SpecAugment(seed=1, dtype="mixed_float16")(soft, training=True).numpy()
    assert outputs.dtype == np.float16 and np.isfinite(outputs).all()
    np.testing.assert_allclose(outputs.mean(axis=(1, 2), dtype=np.float64), -13.0, atol=0.1)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "spec_augment"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_every_example_draws_for_itself_in_graphs(name, policy, spectrograms):
    same = np.repeat(spectrograms[:1], 20, axis=0)
    layer = LAYERS[name](dtype=policy)
    outputs = tf.function(lambda x: layer(x, training=True))(same)
    assert outputs.dtype == layer.compute_dtype and outputs.shape == same.shape
    assert len(np.unique(tf.cast(outputs, tf.float32).numpy(), axis=0)) > 12


def tone(frequency_hz, bins=40):
    """A log-mel spectrogram with its peak at a frequency, and the bands' centres in Hz."""
    centres_hz = librosa.mel_frequencies(bins + 2, fmin=0, fmax=8000)[1:-1]
    mels = librosa.hz_to_mel(centres_hz)
    peak = np.exp(-(((mels - librosa.hz_to_mel(frequency_hz)) / 4) ** 2))
    return np.tile(peak.astype(np.float32), (200, 10, 1)), centres_hz


@pytest.mark.parametrize("frequency_hz", [600.0, 2000.0])
def test_a_vocal_tract_moves_frequencies_by_the_factors_drawn(frequency_hz):
    inputs, centres_hz = tone(frequency_hz)
    outputs = VocalTractPerturbation(0.2, seed=0)(inputs, training=True).numpy()[:, 0]
    # The centroid on the mel scale says where each peak went.
    mels = librosa.hz_to_mel(centres_hz)
    moved_hz = librosa.mel_to_hz((outputs * mels).sum(axis=1) / outputs.sum(axis=1))
    factors = np.log(moved_hz / frequency_hz)
    np.testing.assert_allclose([factors.min(), factors.max()], [-0.2, 0.2], atol=0.03)
    assert abs(factors.mean()) < 0.04


def test_a_stretch_changes_the_pace_around_the_centre():
    frames = np.arange(-50, 51, dtype=np.float32)
    inputs = np.tile(frames[:, np.newaxis], (200, 1, 3))
    outputs = TimeStretch(0.2, seed=0)(inputs, training=True).numpy()
    np.testing.assert_allclose(outputs[:, 50], 0, atol=1e-4)
    rates = np.log(outputs[:, 60, 0] / 10)
    assert -0.2 <= rates.min() < -0.18 and 0.18 < rates.max() <= 0.2
    assert outputs.min() == -50 and outputs.max() == 50


def test_an_equalizer_adds_the_same_smooth_curve_to_every_frame(spectrograms):
    curves = RandomEqualizer(3.0, num_knots=5, seed=0)(spectrograms, training=True).numpy() - spectrograms
    np.testing.assert_allclose(curves, np.broadcast_to(curves[:, :1], curves.shape), atol=1e-5)
    # 3 dB of power are log(2); between knots the curve is a line.
    assert abs(curves[:, 0, 0].std() - np.log(2) * 0.9966) < 0.2
    assert np.abs(np.diff(curves[:, 0], n=2, axis=1)).max(axis=0)[1:8].max() < 1e-5

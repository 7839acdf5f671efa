"""The speech embedding in Keras, beside the LiteRT files that it was taken from."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile
from ai_edge_litert.interpreter import Interpreter

from common import features
from common.encoders import classifier, pretrained, speech_embedding
from common.features import choices
from common.training import optimizers
from kws.config import VARIANTS
from kws.models import build_model

CONFIG = dataclasses.replace(
    VARIANTS["tiny"], model="speech_embedding", words=("low", "high"), noise_probability=0.0, optimizer="sgd"
)
PADDING = 4000


@pytest.fixture(scope="module", autouse=True)
def installed():
    if not pretrained.is_installed():
        pytest.skip("the extra `embedding` is not installed")


@pytest.fixture
def clips(rng):
    """Chirps and noise at several levels, shape (clips, 16000)."""
    seconds = np.arange(16000) / 16000
    tones = [np.sin(2 * np.pi * (200 + 900 * number * seconds) * seconds) for number in range(3)]
    noise = rng.normal(0, 0.3, (2, 16000)) * np.exp(-3 * seconds)
    clips = np.stack([0.5 * tones[0], 0.05 * tones[1], 0.9 * tones[2], *noise])
    # Without a noise floor, rounding decides on the bands that have no power.
    return (clips + rng.normal(0, 0.003, clips.shape)).astype(np.float32)


def of_file(path: Path, inputs: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(str(path))
    interpreter.resize_tensor_input(0, inputs.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, inputs.astype(np.float32))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def of_files(clip: np.ndarray) -> np.ndarray:
    """Embed a clip with both files of the package, window by window."""
    samples = np.pad(clip, PADDING)[np.newaxis] * 2**15
    spectrogram = of_file(pretrained.file().with_name("melspectrogram.tflite"), samples)[0, 0] / 10 + 2
    windows = [spectrogram[start : start + 76] for start in range(0, len(spectrogram) - 75, 8)]
    return of_file(pretrained.file(), np.stack(windows)[..., np.newaxis]).reshape(len(windows), 96)


def embed(clips: np.ndarray) -> np.ndarray:
    """Embed clips with the Keras layers."""
    waveform = keras.Input(clips.shape[1:])
    spectrogram = choices.FEATURES["speech_mel"](CONFIG)(waveform)
    network = speech_embedding.network(spectrogram.shape[1:])
    network.set_weights(pretrained.weights())
    return keras.Model(waveform, network(spectrogram)).predict(clips, verbose=0)


def test_the_network_is_that_of_the_file(rng):
    spectrogram = rng.normal(0, 3, (4, 76, 32)).astype(np.float32)
    network = speech_embedding.network((76, 32))
    network.set_weights(pretrained.weights())
    # The file takes decibels of 16-bit samples, / 10 + 2, that are clipped already.
    decibels = spectrogram / np.log(10) + np.log10(2.0**30) + 2
    decibels = np.maximum(decibels, decibels.max(axis=(1, 2), keepdims=True) - 8)
    theirs = of_file(pretrained.file(), decibels[..., np.newaxis]).reshape(4, 1, 96)
    assert np.abs(theirs).max() > 5
    np.testing.assert_allclose(network.predict(spectrogram, verbose=0), theirs, atol=1e-4)


def test_front_end_and_network_are_those_of_the_files(clips):
    ours = embed(clips)
    assert ours.shape == (5, 9, 96)
    theirs = np.stack([of_files(clip) for clip in clips])
    assert np.abs(theirs).max() > 10
    np.testing.assert_allclose(ours, theirs, atol=5e-4, rtol=1e-5)


def test_they_are_those_of_the_files_on_real_words(real_data):
    paths = sorted((real_data / "speech_commands").glob("*/*.wav"))[::100]
    clips = np.stack([np.resize(np.pad(soundfile.read(path)[0], (0, 16000)), 16000) for path in paths])
    theirs = np.stack([of_files(clip) for clip in clips])
    np.testing.assert_allclose(embed(clips.astype(np.float32)), theirs, atol=5e-4, rtol=1e-5)


def test_windows_share_what_they_compute(clips):
    # A window is every 80 ms the same as the embedding of its own 76 frames.
    long = np.concatenate([clips[0], clips[3]])[np.newaxis]
    np.testing.assert_allclose(embed(long)[0], of_files(long[0]), atol=5e-4, rtol=1e-5)


def test_the_front_end_is_the_file_in_other_units(clips):
    power = features.LogMel(
        num_mels=32, win_length=400, center=False, offset=1e-10 / 2**30, **choices.BANDS["speech_mel"]
    )
    decibels = power(clips).numpy() * 10 / np.log(10) + 10 * np.log10(2.0**30)
    file = pretrained.file().with_name("melspectrogram.tflite")
    theirs = np.stack([of_file(file, clip[np.newaxis] * 2**15)[0, 0] for clip in clips])
    highest = decibels.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(np.maximum(decibels, highest - 80), theirs, atol=1e-3)


def move(clips, fine_tune: bool, fraction: float, weight_decay: float = 0.0) -> np.ndarray:
    """Return by how much one step moves the weights of the pretrained network."""
    config = dataclasses.replace(
        CONFIG, fine_tune=fine_tune, fine_tune_rate=fraction, weight_decay=weight_decay, warmup_epochs=0
    )
    keras.utils.set_random_seed(0)
    model = build_model(config)
    classifier.load_pretrained(model)
    network = model.get_layer(speech_embedding.NETWORK)
    optimizer = optimizers.build_optimizer(config, 10)
    optimizers.scale_learning_rate(optimizer, classifier.pretrained_variables(model), fraction)
    model.compile(optimizer, "categorical_crossentropy", run_eagerly=True)
    before = model.get_weights(), network.get_weights()
    model.train_on_batch(clips[:4], np.eye(2)[[0, 1, 0, 1]])
    after = model.get_weights(), network.get_weights()
    assert any((new != old).any() for new, old in zip(after[0], before[0], strict=True))
    return np.concatenate([(new - old).ravel() for new, old in zip(after[1], before[1], strict=True)])


def test_the_pretrained_network_learns_where_it_is_told_to_and_at_its_own_rate(clips):
    assert not move(clips, fine_tune=False, fraction=1.0).any()
    whole = move(clips, fine_tune=True, fraction=1.0)
    assert np.abs(whole).max() > 1e-6
    eighth = move(clips, fine_tune=True, fraction=0.125)
    assert np.linalg.norm(eighth) / np.linalg.norm(whole) == pytest.approx(0.125, rel=0.01)
    # No weight decay either.
    np.testing.assert_array_equal(move(clips, fine_tune=True, fraction=0.125, weight_decay=0.1), eighth)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "jit_compile"), [("mixed_bfloat16", False), ("mixed_float16", False), ("float32", True)]
)
def test_it_learns_in_half_precision_and_under_xla(policy, jit_compile, clips):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        config = dataclasses.replace(CONFIG, fine_tune=True, max_time_mask=4, max_frequency_mask=2, equalizer_db=1.0)
        model = build_model(config)
    finally:
        keras.config.set_dtype_policy("float32")
    classifier.load_pretrained(model)
    model.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy", jit_compile=jit_compile)
    losses = model.fit(clips[:4], np.eye(2)[[0, 0, 0, 1]], epochs=12, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.7 * losses[0]


def test_a_clip_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="50 frames, and a window has 76"):
        speech_embedding.speech_embedding(keras.Input((50, 32)))

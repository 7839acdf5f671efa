import dataclasses

import keras
import librosa
import numpy as np
import pytest

from common import runs
from kws.config import COMMAND_WORDS, VARIANTS
from kws.models import MODELS, average_over_shifts, build_model, load_for_inference

TEN = {"words": COMMAND_WORDS}


def test_the_report_network_has_the_published_number_of_parameters():
    model = build_model(VARIANTS["report"])
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == 34_442
    assert model.count_params() == 34_698


def test_the_report_features_are_librosa_s(real_data):
    config = VARIANTS["report"]
    path = sorted((real_data / "speech_commands" / "yes").iterdir())[0]
    clip = librosa.util.fix_length(librosa.load(path, sr=config.sample_rate)[0], size=config.num_samples)
    layer = next(layer for layer in build_model(config).layers if layer.name.startswith("mfcc"))
    expected = librosa.feature.mfcc(y=clip, sr=22050, n_mfcc=13, n_fft=2048, hop_length=512).T
    received = np.asarray(layer(clip[None]))[0]
    assert received.shape == (44, 13)
    assert np.abs(received - expected).max() / np.abs(expected).max() < 1e-4


@pytest.mark.parametrize("name", [name for name in MODELS if name != "embedding"])
def test_every_network_takes_a_waveform_and_gives_probabilities(name, rng):
    config = dataclasses.replace(VARIANTS["default"], model=name, tau=1.0, clip_seconds=0.5, **TEN)
    model = build_model(config)
    probabilities = model(rng.normal(0, 0.1, (2, config.num_samples)).astype(np.float32)).numpy()
    assert probabilities.shape == (2, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_probabilities_are_float32_in_mixed_precision(precision):
    keras.config.set_dtype_policy(precision)
    try:
        model = build_model(dataclasses.replace(VARIANTS["tiny"], **TEN))
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert model.layers[0].dtype == "float32"


def test_answers_are_averaged_over_places_in_time():
    config = dataclasses.replace(VARIANTS["tiny"], max_shift_ms=100.0, **TEN)
    model = build_model(config)
    waveforms = np.random.default_rng(0).normal(0, 0.1, (2, 16000)).astype(np.float32)
    shifted = [np.zeros_like(waveforms), waveforms, np.zeros_like(waveforms)]
    shifted[0][:, 1600:], shifted[2][:, :-1600] = waveforms[:, :-1600], waveforms[:, 1600:]
    expected = np.mean([model(clips, training=False) for clips in shifted], axis=0)
    averaged = average_over_shifts(model, config, 3)
    np.testing.assert_allclose(averaged(waveforms, training=False), expected, atol=1e-6)


def test_a_run_is_loaded_as_a_spotter_that_answers_as_its_network(tmp_path, rng):
    config = dataclasses.replace(VARIANTS["tiny"], words=("one", "two"), silence=True)
    run = runs.start(tmp_path / "run", config, "kws", "tiny")
    model = build_model(config)
    model.save(run.model_path)
    (run.folder / "threshold.json").write_text('{"threshold": 0.25}')
    spotter = load_for_inference(run.folder)
    assert (spotter.labels, spotter.threshold) == (config.labels, 0.25)
    assert load_for_inference(run.folder, 0.5).threshold == 0.5
    clips = rng.normal(0, 0.1, (3, config.num_samples)).astype(np.float32)
    expected = model.predict(clips, verbose=0)
    answers = spotter.classify(list(clips))
    np.testing.assert_allclose([answer.probabilities for answer in answers], expected, atol=1e-6)
    np.testing.assert_allclose(spotter.predict(clips[0]).probabilities, expected[0], atol=1e-6)

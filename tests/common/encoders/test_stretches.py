"""Clips of a recording that share the windows of the speech embedding, beside clips with their surroundings alone."""

import dataclasses

import keras
import numpy as np
import pytest

from common.encoders import classifier, pretrained, speech_embedding, stretches
from common.features import choices
from kws.config import VARIANTS
from kws.models import build_model, spotter

CONFIG = dataclasses.replace(VARIANTS["tiny"], model="speech_embedding", words=("low", "high", "none"))


@pytest.fixture(scope="module")
def model():
    if not pretrained.is_installed():
        pytest.skip("the extra `embedding` is not installed")
    keras.utils.set_random_seed(0)
    model = build_model(CONFIG)
    classifier.load_pretrained(model)
    return model


@pytest.fixture
def recording(rng):
    """Noise that swells and fades, loud enough for the floor of a clip to be below it."""
    seconds = np.arange(10 * 16000) / 16000
    return (rng.normal(0, 0.1, len(seconds)) * (2 + np.sin(7 * seconds))).astype(np.float32)


@pytest.mark.parametrize("hop_seconds", [0.08, 0.24])
def test_each_clip_has_the_windows_of_its_surroundings(model, recording, hop_seconds):
    listener = spotter(model, CONFIG, 0.5)
    hop = listener.hop_samples(hop_seconds)
    assert hop == round(hop_seconds * 16000)
    starts, _, outputs = map(np.concatenate, zip(*listener.windows([recording], hop), strict=True))
    head = keras.Model(model.get_layer(speech_embedding.WINDOWS).output, model.output)
    network, front = model.get_layer(speech_embedding.NETWORK), choices.speech_frames()
    # Beside digital silence, the floor of a clip is another one.
    inside = (starts >= 4000) & (starts <= len(recording) - 20_000)
    around = recording[starts[inside][:, np.newaxis] + np.arange(-4000, 20_000)]
    np.testing.assert_allclose(outputs[inside], head(network(front(around))), atol=1e-4)
    assert np.ptp(outputs, axis=0).max() > 0.01


def test_digital_silence_is_not_the_loudest_there_is(model):
    rows = [row for _, _, row in spotter(model, CONFIG, 0.5).windows([np.zeros(32000, np.float32)], 1280)]
    assert np.isfinite(np.concatenate(rows)).all()


def test_other_networks_share_nothing():
    config = dataclasses.replace(CONFIG, model="report_cnn")
    assert stretches.of_model(build_model(config), config.num_samples) is None
    assert spotter(build_model(config), config, 0.5).stretch is None

"""Convolutions that are trained on windows alone."""

import dataclasses

import keras
import numpy as np
import pytest

from common.encoders.convolution_head import ConvolutionHead
from common.encoders.speech_embedding import WINDOWS
from kws.config import VARIANTS
from kws.models import build_model

CONFIG = dataclasses.replace(
    VARIANTS["few"], head="convolutions", words=("low", "high"), epochs=3, epoch_examples=640, max_shift_ms=0
)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build_model(CONFIG)


@pytest.fixture
def windows(rng):
    """Windows of two classes that differ in their means, shape (60, 9, 96)."""
    targets = np.arange(60) % 2
    return (rng.normal(size=(60, 9, 96)) + 0.4 * targets[:, None, None]).astype(np.float32), targets


def test_it_learns_and_begins_anew_every_time(model, windows):
    head = ConvolutionHead(model, CONFIG)
    history = head.fit(*windows)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert history[-1]["loss"] < history[0]["loss"]
    scores = head.scores(windows[0])
    assert (scores.argmax(axis=1) == windows[1]).mean() > 0.95
    head.fit(windows[0], 1 - windows[1])
    assert (head.scores(windows[0]).argmax(axis=1) == windows[1]).mean() < 0.05
    head.fit(*windows)
    np.testing.assert_allclose(head.scores(windows[0]), scores, atol=1e-4)


def test_what_is_trained_is_the_model_that_it_was_taken_from(model, windows, rng):
    head = ConvolutionHead(model, CONFIG)
    before = model.get_layer("speech_embedding").get_weights()
    head.fit(*windows)
    clips = rng.normal(0, 0.1, (3, 16000)).astype(np.float32)
    of_model = model.predict(clips, verbose=0)
    embedded = keras.Model(model.input, model.get_layer(WINDOWS).output).predict(clips, verbose=0)
    np.testing.assert_allclose(np.exp(head.scores(embedded)), of_model, atol=1e-5)
    head.cool(4.0)
    cooled = of_model**0.25
    np.testing.assert_allclose(model.predict(clips, verbose=0), cooled / cooled.sum(axis=1, keepdims=True), atol=1e-4)
    for old, new in zip(before, model.get_layer("speech_embedding").get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)

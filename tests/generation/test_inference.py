import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from common.training import loop
from generation import inference
from generation.config import VARIANTS
from generation.models import build_model

SMALL = dataclasses.replace(VARIANTS["report-reduced"], clip_seconds=1.0)


@pytest.fixture(scope="module", params=["tiny", "report"])
def model(request):
    config = VARIANTS["tiny"] if request.param == "tiny" else SMALL
    loop.prepare(config)
    return build_model(config)


def test_a_piece_has_the_length_asked_for(model):
    for seconds in (0.5, 1.0, 3.7):
        frames = inference.frames_of(model.config, seconds)
        made = inference.spectrogram(model, inference.draw(model.config, 3, frames), frames)
        assert made.shape == (1, frames, model.config.bands)
        assert np.all(np.abs(made) <= 1 + 1e-6)


def test_the_seed_decides_about_a_piece(model):
    frames = inference.frames_of(model.config, 2.0)
    first, again, other = (
        inference.spectrogram(model, inference.draw(model.config, seed, frames), frames) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_cross_fading_joins_without_a_step():
    """Pictures of one value each: in between the values go over into each other frame by frame."""
    pictures = tf.stack([tf.fill((20, 4), value) for value in (0.0, 1.0, 1.0)])[None]
    faded = inference._cross_fade(pictures, 10).numpy()[0, :, 0]
    assert len(faded) == 40 and faded[0] == 0 and faded[-1] == 1
    assert np.abs(np.diff(faded)).max() <= 0.1 + 1e-6 and np.all(np.diff(faded) >= -1e-6)

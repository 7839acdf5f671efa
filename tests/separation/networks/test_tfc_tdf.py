import dataclasses

import keras
import numpy as np
import pytest

from separation.config import VARIANTS
from separation.networks.tfc_tdf import tfc_tdf

TINY = VARIANTS["tiny"]


def build(config, channels=2, num_answers=4):
    features = keras.Input((config.num_frames, config.n_fft // 2, channels))
    return keras.Model(features, tfc_tdf(config, features, num_answers))


@pytest.mark.parametrize("changes", [{}, {"blocks": 2}, {"growth": 0}, {"subbands": 1}, {"dropout": 0.2}])
def test_shapes_and_sizes(changes):
    model = build(dataclasses.replace(TINY, **changes))
    assert model.output_shape == (None, 32, 128, 4)
    plain = build(TINY).count_params()
    if changes.keys() & {"blocks"}:
        assert model.count_params() > 1.5 * plain
    if changes.keys() & {"dropout"}:
        assert model.count_params() == plain


@pytest.mark.slow
def test_it_begins_near_silence_and_every_weight_learns(rng):
    model = build(TINY)
    features = rng.normal(size=(2, 32, 128, 2)).astype(np.float32)
    assert 0 < np.abs(model(features)).mean() < 0.1
    model.compile("adam", "mse")
    before = model.get_weights()
    targets = rng.normal(size=(2, 32, 128, 4)).astype(np.float32)
    model.fit(features, targets, epochs=3, verbose=0)
    for variable, old in zip(model.weights, before, strict=True):
        assert not np.array_equal(variable.numpy(), old), variable.path


def test_bands_become_channels_and_bands_again(rng):
    """What goes in at one frequency comes out at that frequency when only the head sees it."""
    config = dataclasses.replace(TINY, subbands=4, depth=2)
    features = keras.Input((32, 128, 1))
    model = keras.Model(features, tfc_tdf(config, features, 1))
    folded = keras.Model(features, model.get_layer("folded").output)
    tone = np.zeros((1, 32, 128, 1), np.float32)
    tone[0, 5, 70] = 1
    # Bin 70 of 128 lies in the third of four bands of 32, at its bin 6.
    np.testing.assert_array_equal(np.argwhere(folded(tone).numpy()), [[0, 5, 6, 2]])
    answers = keras.Input((32, 32, 4))
    x = answers
    for name in ("answers_by_band", "bands_first", "unfolded"):
        x = model.get_layer(name)(x)
    unfolded = keras.Model(answers, x)
    np.testing.assert_array_equal(unfolded(folded(tone)).numpy(), tone)

"""Whole songs: whatever the length and the blocks, joins do not click and nothing is left over from another song."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from separation import inference
from separation.config import VARIANTS
from separation.models import build_model

TINY = dataclasses.replace(VARIANTS["tiny"], sample_rate=8000, channels=1)
WINDOW, HOP = TINY.window_samples, TINY.window_hop


def trained_like(config, rng):
    """A network with weights at random: it changes what it hears."""
    model = build_model(config)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


@pytest.fixture
def model(rng):
    return trained_like(TINY, rng)


@pytest.fixture
def halves():
    """A model whose stems are each half of the mixture."""
    config = dataclasses.replace(TINY, model="unet", width=2, depth=2, mask="softmax")
    model = build_model(config)
    for variable in model.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    return config, model


@pytest.mark.parametrize(
    "length", [1, 63, WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + HOP, WINDOW + HOP + 1, 9 * HOP + 17]
)
def test_any_length_comes_out_as_long_and_the_same_inside_tensorflow(model, rng, length):
    mixture = rng.normal(0, 0.1, (length, 1)).astype(np.float32)
    stems = inference.separate_track(inference.window_function(model, TINY), TINY, mixture)
    assert stems.shape == (2, length, 1)
    np.testing.assert_allclose(inference.overlap_add(model, TINY, tf.constant(mixture)), stems, atol=1e-5)


def test_blocks_of_any_lengths_give_the_same_stems(model, rng):
    mixture = rng.normal(0, 0.1, (30001, 1)).astype(np.float32)
    run = inference.window_function(model, TINY)
    whole = inference.separate_track(run, TINY, mixture)
    for size in (100, 1984, 12345):
        blocks = (mixture[start : start + size] for start in range(0, len(mixture), size))
        np.testing.assert_array_equal(np.concatenate(list(inference.separate(run, TINY, blocks)), axis=1), whole)


def test_a_then_b_then_a_is_the_same_a(model, rng):
    a, b = (rng.normal(0, level, (9000, 1)).astype(np.float32) for level in (0.1, 0.7))
    run = inference.window_function(model, TINY)
    first, _, again = (inference.separate_track(run, TINY, song) for song in (a, b, a))
    np.testing.assert_array_equal(first, again)


def test_a_song_cut_on_the_grid_and_joined_is_the_whole(model, rng):
    mixture = rng.normal(0, 0.1, (20 * HOP, 1)).astype(np.float32)
    whole = inference.separate_track(inference.window_function(model, TINY), TINY, mixture)
    cut = 10 * HOP
    parts = [
        inference.separate_track(inference.window_function(model, TINY), TINY, part)
        for part in (mixture[:cut], mixture[cut:])
    ]
    joined = np.concatenate(parts, axis=1)
    away = np.abs(np.arange(len(mixture)) - cut) > WINDOW
    np.testing.assert_allclose(joined[:, away], whole[:, away], atol=1e-6)


def test_joins_do_not_click(halves):
    config, model = halves
    times = np.arange(6 * HOP) / 8000
    tone = (0.5 * np.sin(2 * np.pi * 440 * times))[:, None].astype(np.float32)
    stems = inference.separate_track(inference.window_function(model, config), config, tone)
    np.testing.assert_allclose(stems, np.stack([tone, tone]) / 2, atol=1e-5)
    assert not inference.separate_track(inference.window_function(model, config), config, 0 * tone).any()


def test_weights_of_all_windows_sum_to_the_same_where_they_overlap():
    weights = inference.triangle(TINY)
    assert weights.min() > 0
    ramp = WINDOW - HOP
    np.testing.assert_allclose(weights[:ramp] + weights[-ramp:], 1, atol=1e-6)
    assert (inference.triangle(dataclasses.replace(TINY, overlap=0.0)) == 1).all()


def test_a_mono_model_takes_channels_one_by_one(model, rng):
    stereo = rng.normal(0, 0.1, (5000, 2)).astype(np.float32)
    stems = inference.separate_track(inference.window_function(model, TINY), TINY, stereo)
    assert stems.shape == (2, 5000, 2)
    for channel in range(2):
        alone = inference.separate_track(inference.window_function(model, TINY), TINY, stereo[:, channel : channel + 1])
        np.testing.assert_allclose(stems[:, :, channel], alone[:, :, 0], atol=1e-6)


def test_a_stereo_model_takes_mono_on_both_sides(rng):
    config = dataclasses.replace(TINY, channels=2)
    model = trained_like(config, rng)
    mono = rng.normal(0, 0.1, (5000, 1)).astype(np.float32)
    both = inference.separate_track(inference.window_function(model, config), config, np.repeat(mono, 2, axis=1))
    np.testing.assert_allclose(
        inference.separate_track(inference.window_function(model, config), config, mono),
        both.mean(axis=2, keepdims=True),
        atol=1e-6,
    )


def test_consistent_stems_sum_to_the_mixture(rng):
    stems, mixture = rng.normal(size=(3, 50, 2)), rng.normal(size=(50, 2))
    np.testing.assert_allclose(inference.make_consistent(stems, mixture).sum(axis=0), mixture, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("heard", [1, 2])
def test_nothing_is_separated_into_nothing(channels, heard):
    config = dataclasses.replace(TINY, channels=channels)
    run = inference.window_function(build_model(config), config)
    num_stems = len(config.stems)
    assert run(np.zeros((0, WINDOW, heard), np.float32)).shape == (0, num_stems, WINDOW, heard)
    assert inference.separate_track(run, config, np.zeros((0, heard), np.float32)).shape == (num_stems, 0, heard)

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from generation import noise
from generation.config import VARIANTS
from generation.models import draw_noise

CONFIG = VARIANTS["default"]


def test_style_stays_and_the_rest_changes():
    steps = noise.draw(CONFIG, 3, (0, 1))
    assert steps.shape == (3, noise.num_steps(CONFIG), CONFIG.noise_dim) and steps.dtype == np.float32
    assert np.ptp(steps[:, :, : CONFIG.style_dim], axis=1).max() == 0
    assert np.ptp(steps[:, :, CONFIG.style_dim :], axis=1).min() > 0
    assert not np.allclose(steps[0], steps[1])


def test_the_seed_decides():
    np.testing.assert_array_equal(noise.draw(CONFIG, 2, (3, 4)), noise.draw(CONFIG, 2, (3, 4)))
    assert np.abs(noise.draw(CONFIG, 2, (3, 4)) - noise.draw(CONFIG, 2, (3, 5))).max() > 0.1


@pytest.mark.parametrize("variant", ["default", "tiny", "specgan", "report"])
@pytest.mark.parametrize("seed", [(0, 0), (41, 7), (2**31, 0)])
def test_inference_draws_what_a_training_step_draws(variant, seed):
    config = VARIANTS[variant]
    for number in (1, 5):
        np.testing.assert_allclose(
            noise.draw(config, number, seed), draw_noise(config, number, list(seed)), rtol=0, atol=1e-6
        )


def test_uniform_noise_stays_in_its_bounds():
    steps = noise.draw(VARIANTS["specgan"], 50, (0, 0))
    assert steps.shape[1] == 1 and np.abs(steps).max() <= 1 and steps.std() == pytest.approx(1 / np.sqrt(3), rel=0.05)


def test_interpolation_begins_and_ends_and_keeps_its_length(rng):
    first, second = rng.normal(size=(2, 4, 1000)).astype(np.float32)
    way = noise.Noise(1000, 0, "normal")
    np.testing.assert_allclose(way.interpolate(first, second, 0.0), first, atol=1e-5)
    np.testing.assert_allclose(way.interpolate(first, second, 1.0), second, atol=1e-5)
    middle = np.linalg.norm(way.interpolate(first, second, 0.5), axis=1)
    # Half of each would be 0.71 times as long, and no noise that the generator knows.
    np.testing.assert_allclose(middle, np.linalg.norm(first, axis=1), rtol=0.05)


def test_a_quarter_of_a_right_angle_is_a_quarter_of_the_way():
    way = noise.Noise(2, 0, "normal").interpolate(np.array([[2.0, 0.0]]), np.array([[0.0, 2.0]]), 0.25)
    np.testing.assert_allclose(way, [[2 * np.cos(np.pi / 8), 2 * np.sin(np.pi / 8)]], atol=1e-6)
    line = noise.Noise(2, 0, "uniform").interpolate(np.array([[2.0, 0.0]]), np.array([[0.0, 2.0]]), 0.25)
    np.testing.assert_allclose(line, [[1.5, 0.5]])


def test_noise_of_a_piece_takes_steps_for_all_its_frames():
    assert noise.steps_for(32) == 1 + 2 * noise.MARGIN_STEPS
    assert noise.steps_for(33) == 2 + 2 * noise.MARGIN_STEPS
    assert noise.num_steps(CONFIG) == noise.steps_for(CONFIG.frames)
    assert noise.num_steps(dataclasses.replace(VARIANTS["report"])) == 1
    assert noise.draw(CONFIG, 1, (0, 0), steps=9).shape[1] == 9


def test_the_graph_of_a_training_step_draws_the_same_too():
    drawn = tf.function(lambda seed: draw_noise(VARIANTS["tiny"], 3, seed))(tf.constant([1, 2]))
    np.testing.assert_allclose(noise.draw(VARIANTS["tiny"], 3, (1, 2)), drawn, rtol=0, atol=1e-6)

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from generation import noise
from generation.config import VARIANTS

CONFIG = VARIANTS["default"]


def test_style_stays_and_the_rest_changes():
    steps = noise.draw(CONFIG, 3, [0, 1]).numpy()
    assert steps.shape == (3, noise.num_steps(CONFIG), CONFIG.noise_dim)
    assert np.ptp(steps[:, :, : CONFIG.style_dim], axis=1).max() == 0
    assert np.ptp(steps[:, :, CONFIG.style_dim :], axis=1).min() > 0
    assert not np.allclose(steps[0], steps[1])


def test_the_seed_decides():
    np.testing.assert_array_equal(noise.draw(CONFIG, 2, [3, 4]), noise.draw(CONFIG, 2, [3, 4]))
    assert np.abs(noise.draw(CONFIG, 2, [3, 4]) - noise.draw(CONFIG, 2, [3, 5])).max() > 0.1


def test_uniform_noise_stays_in_its_bounds():
    steps = noise.draw(VARIANTS["specgan"], 50, [0, 0]).numpy()
    assert steps.shape[1] == 1 and np.abs(steps).max() <= 1 and steps.std() == pytest.approx(1 / np.sqrt(3), rel=0.05)


def test_interpolation_begins_and_ends_and_keeps_its_length():
    first, second = (tf.random.stateless_normal((4, 1000), (0, seed)) for seed in (1, 2))
    np.testing.assert_allclose(noise.interpolate(CONFIG, first, second, 0.0), first, atol=1e-5)
    np.testing.assert_allclose(noise.interpolate(CONFIG, first, second, 1.0), second, atol=1e-5)
    middle = np.linalg.norm(noise.interpolate(CONFIG, first, second, 0.5), axis=1)
    # Half of each would be 0.71 times as long, and no noise that the generator knows.
    np.testing.assert_allclose(middle, np.linalg.norm(first, axis=1), rtol=0.05)


def test_noise_of_a_piece_takes_steps_for_all_its_frames():
    assert noise.num_steps(CONFIG, 32) == 1 + 2 * noise.MARGIN_STEPS
    assert noise.num_steps(CONFIG, 33) == 2 + 2 * noise.MARGIN_STEPS
    assert noise.num_steps(dataclasses.replace(VARIANTS["report"]), 5000) == 1

import numpy as np
import pytest
import tensorflow as tf

from generation import discriminator_augment as module
from generation.discriminator_augment import augment

SEED = tf.constant([0, 1])


@pytest.fixture
def pictures(rng):
    return tf.constant(rng.uniform(-1, 1, (16, 40, 16, 1)), tf.float32)


@pytest.fixture
def drawn(rng):
    """What three numbers from 0 to 1 each example draws."""
    return [tf.constant(rng.uniform(size=(16, 1, 1, 1)), tf.float32) for _ in range(3)]


def test_nothing_changes_at_probability_0(pictures):
    np.testing.assert_array_equal(augment(pictures, tf.constant(0.0), SEED), pictures)


def test_all_changes_at_probability_1_and_the_seed_decides(pictures):
    changed = augment(pictures, tf.constant(1.0), SEED).numpy()
    assert np.all(np.abs(changed - pictures.numpy()).max(axis=(1, 2, 3)) > 0.01)
    np.testing.assert_array_equal(changed, augment(pictures, tf.constant(1.0), SEED))
    assert np.abs(changed - augment(pictures, tf.constant(1.0), SEED + 1)).max() > 0.1


def test_about_as_many_examples_change_as_are_meant_to(pictures):
    many = tf.repeat(pictures, 50, axis=0)
    changed = np.abs(augment(many, tf.constant(0.1), SEED) - many).max(axis=(1, 2, 3)) > 1e-6
    # Some changes are by nothing, such as a shift by no band.
    assert 0.3 < changed.mean() < 1 - 0.9**5 + 0.05


def test_a_shift_in_time_keeps_every_frame(pictures, drawn):
    shifted = module._time_shift(pictures, drawn[0]).numpy()
    np.testing.assert_allclose(np.sort(shifted, axis=1), np.sort(pictures, axis=1))
    assert np.abs(shifted - pictures).max() > 0.1


def test_a_shift_in_frequency_moves_all_frames_alike(pictures, drawn):
    shifted = module._band_shift(pictures, drawn[0]).numpy()
    for before, after in zip(pictures.numpy(), shifted, strict=True):
        shift = next(
            shift
            for shift in range(-3, 4)
            if np.allclose(after[:, 3:-3], np.roll(before, -shift, axis=1)[:, 3:-3], atol=1e-6)
        )
        assert -3 <= shift <= 3


def test_what_is_cut_out_is_the_middle_of_the_scale(pictures, drawn):
    cut = module._cut_out(pictures, *drawn).numpy()
    changed = cut != pictures.numpy()
    assert np.all(cut[changed] == 0) and 0.02 < changed.mean() < 0.3


def test_gradients_pass_through_every_change(pictures):
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        loss = tf.reduce_sum(tf.square(augment(pictures, tf.constant(1.0), SEED)))
    gradient = tape.gradient(loss, pictures).numpy()
    assert np.all(np.isfinite(gradient)) and np.all(np.abs(gradient).max(axis=(1, 2, 3)) > 0)

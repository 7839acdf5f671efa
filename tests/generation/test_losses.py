import numpy as np
import pytest
import tensorflow as tf

from generation import losses

REAL = tf.constant([[2.0], [-0.5]])
FAKE = tf.constant([[-3.0], [0.25]])


def test_cross_entropy_as_by_hand():
    def entropy(label, logits):
        probability = 1 / (1 + np.exp(-logits))
        return np.mean(-label * np.log(probability) - (1 - label) * np.log(1 - probability))

    expected = entropy(0.9, REAL.numpy()) + entropy(0.0, FAKE.numpy())
    assert float(losses.discriminator_loss("bce", REAL, FAKE, 0.9)) == pytest.approx(expected, rel=1e-5)
    assert float(losses.generator_loss("bce", FAKE, 0.9)) == pytest.approx(entropy(0.9, FAKE.numpy()), rel=1e-5)


def test_hinge_and_wasserstein_as_by_hand():
    # Beyond the margin nothing is to be gained: max(0, 1 - 2) = 0.
    assert float(losses.discriminator_loss("hinge", REAL, FAKE)) == pytest.approx((0 + 1.5) / 2 + (0 + 1.25) / 2)
    assert float(losses.discriminator_loss("wgan_gp", REAL, FAKE)) == pytest.approx(-1.375 - 0.75)
    for name in ("hinge", "wgan_gp"):
        assert float(losses.generator_loss(name, FAKE)) == pytest.approx(1.375)


def test_penalties_of_a_straight_judge():
    """The gradient of a weighted sum is its weights wherever it is taken."""
    weights = tf.constant(np.random.default_rng(0).normal(size=(1, 4, 3, 1)), tf.float32)
    length = float(tf.norm(weights))

    def judge(pictures):
        return tf.reduce_sum(weights * pictures, axis=(1, 2, 3))[:, None]

    reals, fakes = tf.ones((5, 4, 3, 1)), tf.zeros((5, 4, 3, 1))
    assert float(losses.r1(judge, reals)) == pytest.approx(length**2 / 2, rel=1e-5)
    assert float(losses.gradient_penalty(judge, reals, fakes, tf.constant([0, 1]))) == pytest.approx(
        (length - 1) ** 2, rel=1e-4
    )


def test_r1_of_a_curved_judge_is_taken_at_the_reals():
    def judge(pictures):
        return tf.reduce_sum(tf.square(pictures), axis=(1, 2, 3))[:, None]

    reals = tf.fill((2, 2, 2, 1), 3.0)
    assert float(losses.r1(judge, reals)) == pytest.approx(4 * 6**2 / 2)

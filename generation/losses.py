"""Adversarial losses, and gradient penalties of the discriminator."""

from collections.abc import Callable

import tensorflow as tf

Judge = Callable[[tf.Tensor], tf.Tensor]


def discriminator_loss(name: str, real: tf.Tensor, fake: tf.Tensor, real_label: float = 1.0) -> tf.Tensor:
    """Return the loss of the discriminator.

    Args:
        name: `bce`, `hinge` or `wgan_gp`.
        real: Logits of reals, `(batch, 1)`.
        fake: Logits of fakes, `(batch, 1)`.
        real_label: Target label of reals with `bce`; 0.9 is one-sided label smoothing.
    """
    if name == "bce":
        return _cross_entropy(real_label, real) + _cross_entropy(0.0, fake)
    if name == "hinge":
        return tf.reduce_mean(tf.nn.relu(1 - real)) + tf.reduce_mean(tf.nn.relu(1 + fake))
    return tf.reduce_mean(fake) - tf.reduce_mean(real)


def generator_loss(name: str, fake: tf.Tensor, real_label: float = 1.0) -> tf.Tensor:
    """Return the loss of the generator; with `bce` its targets are smoothed too, as in the report."""
    return _cross_entropy(real_label, fake) if name == "bce" else -tf.reduce_mean(fake)


def _cross_entropy(label: float, logits: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.fill(tf.shape(logits), label), logits))


def gradient_penalty(judge: Judge, reals: tf.Tensor, fakes: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return the gradient penalty between reals and fakes (Gulrajani et al., 2017, arXiv 1704.00028)."""
    fraction = tf.random.stateless_uniform((tf.shape(reals)[0], 1, 1, 1), seed, alg="philox")
    squares = _squared_gradient(judge, reals + fraction * (fakes - reals))
    return tf.reduce_mean(tf.square(tf.sqrt(squares + 1e-12) - 1))


def r1(judge: Judge, reals: tf.Tensor) -> tf.Tensor:
    """Return half the mean squared norm of the gradient at reals (Mescheder et al., 2018, arXiv 1801.04406)."""
    return tf.reduce_mean(_squared_gradient(judge, reals)) / 2


def _squared_gradient(judge: Judge, spectrograms: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
        tape.watch(spectrograms)
        logits = tf.reduce_sum(judge(spectrograms))
    return tf.reduce_sum(tf.square(tape.gradient(logits, spectrograms)), axis=(1, 2, 3))

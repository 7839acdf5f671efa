"""Where pieces come from: noise, a row of numbers for each step of time.

The first `style_dim` numbers of a row are the same through all of a piece: its style. The others are drawn anew in each
step, so that a longer piece takes more steps of the same style. Networks of one size take one step.
"""

import tensorflow as tf

from generation.config import Config

# From one step of noise to the next, the network `native` makes so many frames.
FRAMES_PER_STEP = 32
# Steps whose frames are left out at either end, where the convolutions see nothing beyond.
MARGIN_STEPS = 1


def num_steps(config: Config, frames: int | None = None) -> int:
    """Return how many steps of noise make so many frames (those of an excerpt unless told)."""
    if config.model != "native":
        return 1
    return -(-(frames or config.frames) // FRAMES_PER_STEP) + 2 * MARGIN_STEPS


def draw(config: Config, num_samples: int | tf.Tensor, seed: tf.Tensor, steps: int | None = None) -> tf.Tensor:
    """Draw noise for some pieces.

    Args:
        config: Of the generator.
        num_samples: How many pieces.
        seed: Shape `(2,)`, whole numbers; the same seed gives the same noise.
        steps: Of time; those of an excerpt unless told.

    Returns:
        Shape `(num_samples, steps, noise_dim)` float32.
    """
    steps = steps or num_steps(config)
    local_dim = config.noise_dim - config.style_dim
    seeds = tf.unstack(tf.random.split(tf.convert_to_tensor(seed), 2))
    style = _random(config, (num_samples, 1, config.style_dim), seeds[0])
    local = _random(config, (num_samples, steps, local_dim), seeds[1])
    return tf.concat([tf.repeat(style, steps, axis=1), local], axis=2)


def _random(config: Config, shape: tuple, seed: tf.Tensor) -> tf.Tensor:
    # XLA would choose another generator than the rest.
    if config.noise == "uniform":
        return tf.random.stateless_uniform(shape, seed, -1.0, 1.0, alg="philox")
    return tf.random.stateless_normal(shape, seed, alg="philox")


def interpolate(config: Config, first: tf.Tensor, second: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Go from one noise to another, along the sphere that normal noise lies on (T. White, 2016, arXiv 1609.04468).

    Args:
        config: Says how the noise is distributed; uniform noise is mixed in a straight line.
        first: Shape `(…, noise_dim)`.
        second: The same shape.
        share: From 0, the first, to 1, the second; of a shape that fits.
    """
    if config.noise == "uniform":
        return first + share * (second - first)
    cosine = tf.reduce_sum(tf.math.l2_normalize(first, -1) * tf.math.l2_normalize(second, -1), axis=-1, keepdims=True)
    angle = tf.acos(tf.clip_by_value(cosine, -1 + 1e-6, 1 - 1e-6))
    return (tf.sin((1 - share) * angle) * first + tf.sin(share * angle) * second) / tf.sin(angle)

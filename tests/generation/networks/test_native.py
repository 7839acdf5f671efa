import dataclasses

import numpy as np
import tensorflow as tf

from common.training import loop
from generation import noise
from generation.config import VARIANTS
from generation.networks import native


def test_an_excerpt_of_six_seconds_is_64_bands_by_662_frames():
    config = dataclasses.replace(VARIANTS["tiny"], clip_seconds=6.0, num_mels=64)
    assert (config.frames, config.bands) == (662, 64)
    steps = noise.draw(config, 2, [0, 0])
    made = native.generator(config)(steps)
    assert made.shape[0] == 2 and made.shape[1] >= 662 and made.shape[2:] == (64, 1)
    assert native.discriminator(config)(made[:, :662]).shape == (2, 1)


def test_a_longer_piece_begins_as_the_shorter_one_does():
    """Every part is made alike: what is generated depends on the noise around it, not on where it stands."""
    config = VARIANTS["tiny"]
    loop.prepare(config)
    network = native.generator(config)
    long = noise.draw(config, 1, [0, 0], steps=30)
    made = network(long).numpy()
    part = network(long[:, 10:25]).numpy()
    # Steps 16 to 18 of the whole, far from both ends of the part.
    np.testing.assert_allclose(part[:, 5 * 32 : 8 * 32], made[:, 15 * 32 : 18 * 32], atol=1e-4)


def test_noise_far_away_changes_nothing():
    config = VARIANTS["tiny"]
    loop.prepare(config)
    network = native.generator(config)
    first = noise.draw(config, 1, [0, 0], steps=30)
    other = tf.concat([first[:, :20], noise.draw(config, 1, [1, 0], steps=10)], axis=1)
    near, far = (network(x).numpy()[:, 10 * 32 : 12 * 32] for x in (first, other))
    np.testing.assert_allclose(near, far, atol=1e-6)
    assert np.abs(network(first).numpy()[:, 24 * 32 :] - network(other).numpy()[:, 24 * 32 :]).max() > 1e-3

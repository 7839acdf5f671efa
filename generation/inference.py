"""Pieces of any length from noise.

The network `native` is convolutional along time: a longer piece is more steps of noise in one pass, so nothing has to be
joined. The other networks make one excerpt from one step of noise: their longer pieces are excerpts that overlap by half and
are cross-faded, each from noise between that of its neighbours.
"""

import tensorflow as tf

from generation import noise
from generation.config import Config
from generation.models import Gan

LONGEST_SECONDS = 600.0


def frames_of(config: Config, seconds: float) -> int:
    """Return how many frames last so long."""
    return round(seconds * config.sample_rate / config.hop_length) + 1


def draw(config: Config, seed: int, frames: int) -> tf.Tensor:
    """Draw the noise of one piece.

    Returns:
        Shape `(1, steps, noise_dim)`: steps of time, or with networks of one size one step for each excerpt.
    """
    if config.model == "native":
        return noise.draw(config, 1, [seed, 0], noise.num_steps(config, frames))
    windows = 1 + max(0, -(-(frames - config.frames) // _hop(config)))
    anchors = [noise.draw(config, 1, [seed, number])[:, 0] for number in range(windows // 2 + 2)]
    steps = [
        anchors[number // 2]
        if number % 2 == 0
        else noise.interpolate(config, anchors[number // 2], anchors[number // 2 + 1], 0.5)
        for number in range(windows)
    ]
    return tf.stack(steps, axis=1)


def spectrogram(model: Gan, steps: tf.Tensor, frames: int) -> tf.Tensor:
    """Make scaled spectrograms `(batch, frames, bands)` from noise as `draw` gives it."""
    config = model.config
    if config.model == "native":
        return model.generate(steps)[:, :frames]
    batch, windows = tf.shape(steps)[0], steps.shape[1]
    pictures = model.generate(tf.reshape(steps, (-1, 1, config.noise_dim)))
    pictures = tf.reshape(pictures, (batch, windows, config.frames, config.bands))
    return _cross_fade(pictures, _hop(config))[:, :frames]


def _hop(config: Config) -> int:
    return config.frames // 2


def _cross_fade(pictures: tf.Tensor, hop: int) -> tf.Tensor:
    """Lay pictures `(batch, windows, frames, bands)` over one another, each `hop` frames after the one before."""
    _, windows, frames, _ = pictures.shape
    # Of two neighbours one fades out as the other fades in; the first and the last have nobody to fade to.
    places = tf.range(frames, dtype=tf.float32)
    triangle = tf.minimum(places + 1, frames - places)
    total = hop * (windows - 1) + frames
    faded, weights = 0.0, 0.0
    for number in range(windows):
        padding = [[0, 0], [number * hop, total - number * hop - frames], [0, 0]]
        faded += tf.pad(pictures[:, number] * triangle[None, :, None], padding)
        weights += tf.pad(triangle[None, :, None], padding)
    return faded / weights

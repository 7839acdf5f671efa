"""Differentiable augmentation: changes to what the discriminator sees, reals and fakes alike, in the updates of both networks.

S. Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020 (arXiv 2006.10738); how often is
adapted as by T. Karras et al., "Training generative adversarial networks with limited data", NeurIPS 2020 (arXiv
2006.06676). A change that is not always made does not leak into what is generated.
"""

import tensorflow as tf

_GAIN = 0.2
_CONTRAST = 0.25
_BAND_SHIFT = 3
_TIME_CUT, _BAND_CUT = 0.25, 0.25
_NUM_CHANGES = 5


def augment(spectrograms: tf.Tensor, probability: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Change some examples: gain, contrast, a shift in time, a shift in frequency, and a rectangle cut out.

    Args:
        spectrograms: Scaled, `(batch, frames, bands, 1)`.
        probability: How likely each change is to be made, for each example.
        seed: Shape `(2,)`; the same seed gives the same changes.
    """
    seeds = tf.unstack(tf.random.split(seed, 2 * _NUM_CHANGES))
    changes = (_gain, _contrast, _time_shift, _band_shift, _cut_out)
    for change, draw_seed, seed_of_change in zip(changes, seeds[::2], seeds[1::2], strict=True):
        made = _uniform(spectrograms, draw_seed) < probability
        spectrograms = tf.where(made, change(spectrograms, seed_of_change), spectrograms)
    return spectrograms


def _uniform(x: tf.Tensor, seed: tf.Tensor, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
    """Draw a number for each example, of a shape that goes with `(batch, frames, bands, 1)`."""
    return tf.random.stateless_uniform((tf.shape(x)[0], 1, 1, 1), seed, low, high, alg="philox")


def _gain(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    return x + _uniform(x, seed, -_GAIN, _GAIN)


def _contrast(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * _uniform(x, seed, 1 - _CONTRAST, 1 + _CONTRAST)


def _time_shift(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Move what is at the end to the beginning."""
    frames = x.shape[1]
    shift = tf.cast(_uniform(x, seed)[:, 0, 0] * frames, tf.int32)
    return tf.gather(x, (tf.range(frames)[None] + shift) % frames, axis=1, batch_dims=1)


def _band_shift(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Move up or down by some bands; the outermost stands for what is missing."""
    bands = x.shape[2]
    shift = tf.round(_uniform(x, seed, -_BAND_SHIFT - 0.5, _BAND_SHIFT + 0.5))
    padded = tf.concat(
        [tf.repeat(x[:, :, :1], _BAND_SHIFT, axis=2), x, tf.repeat(x[:, :, -1:], _BAND_SHIFT, axis=2)], 2
    )
    # Of all shifts one is kept: the gradient of a gather for each example is slow, and XLA lacks its second one.
    return tf.add_n(
        [
            tf.cast(tf.equal(shift, by), x.dtype) * padded[:, :, _BAND_SHIFT + by : _BAND_SHIFT + by + bands]
            for by in range(-_BAND_SHIFT, _BAND_SHIFT + 1)
        ]
    )


def _cut_out(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Set a stretch of time or of bands to the middle of the scale."""
    seeds = tf.unstack(tf.random.split(seed, 3))
    in_time = tf.cast(_uniform(x, seeds[2]) < 0.5, x.dtype)
    frames, bands = tf.linspace(0.0, 1.0, x.shape[1]), tf.linspace(0.0, 1.0, x.shape[2])
    time_start, band_start = _uniform(x, seeds[0], -_TIME_CUT, 1.0), _uniform(x, seeds[1], -_BAND_CUT, 1.0)
    time = tf.cast(tf.abs(frames[None, :, None, None] - time_start - _TIME_CUT / 2) < _TIME_CUT / 2, x.dtype)
    band = tf.cast(tf.abs(bands[None, None, :, None] - band_start - _BAND_CUT / 2) < _BAND_CUT / 2, x.dtype)
    return x * (1 - in_time * time - (1 - in_time) * band)

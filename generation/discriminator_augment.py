"""Differentiable augmentation of the discriminator input, for reals and fakes, in the updates of both networks.

S. Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020 (arXiv 2006.10738). The
probability is adapted as in T. Karras et al., "Training generative adversarial networks with limited data", NeurIPS
2020 (arXiv 2006.06676). With a probability below 1 the augmentations do not leak into the generated samples.
"""

import tensorflow as tf

_GAIN = 0.2
_CONTRAST = 0.25
_BAND_SHIFT = 3
_TIME_CUT, _BAND_CUT = 0.25, 0.25


def augment(spectrograms: tf.Tensor, probability: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Apply random gain, contrast, time shift, frequency shift and masking of times or bands.

    Args:
        spectrograms: Scaled spectrograms, `(batch, frames, bands, 1)`.
        probability: Probability of each augmentation, for each example.
        seed: Shape `(2,)`; the same seed gives the same result.
    """
    changes = {_gain: 1, _contrast: 1, _time_shift: 1, _band_shift: 1, _cut_out: 3}
    # Draw all numbers at once: this function is traced four times in a training step, and a draw is many operations.
    num_draws = sum(changes.values()) + len(changes)
    shape = (num_draws, tf.shape(spectrograms)[0], 1, 1, 1)
    draws = iter(tf.unstack(tf.random.stateless_uniform(shape, seed, alg="philox")))
    for change, num_numbers in changes.items():
        applied = next(draws) < probability
        changed = change(spectrograms, *(next(draws) for _ in range(num_numbers)))
        spectrograms = tf.where(applied, changed, spectrograms)
    return spectrograms


# The arguments `drawn` of each augmentation are its random parameters, in [0, 1), shape `(batch, 1, 1, 1)`.


def _between(low: float, high: float, drawn: tf.Tensor) -> tf.Tensor:
    return low + (high - low) * drawn


def _gain(x: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    return x + _between(-_GAIN, _GAIN, drawn)


def _contrast(x: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * _between(1 - _CONTRAST, 1 + _CONTRAST, drawn)


def _time_shift(x: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """Roll by a random number of frames."""
    frames = x.shape[1]
    shift = tf.cast(drawn[:, 0, 0] * frames, tf.int32)
    return tf.gather(x, (tf.range(frames)[None] + shift) % frames, axis=1, batch_dims=1)


def _band_shift(x: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """Shift up or down by at most 3 bands, and repeat the outermost band at the edge."""
    bands = x.shape[2]
    shift = tf.round(_between(-_BAND_SHIFT - 0.5, _BAND_SHIFT + 0.5, drawn))
    padded = tf.concat(
        [tf.repeat(x[:, :, :1], _BAND_SHIFT, axis=2), x, tf.repeat(x[:, :, -1:], _BAND_SHIFT, axis=2)], 2
    )
    # Sum over all shifts, of which one has a weight of 1. A gather per example has a slow gradient, and XLA has no
    # second gradient of it.
    return tf.add_n(
        [
            tf.cast(tf.equal(shift, by), x.dtype) * padded[:, :, _BAND_SHIFT + by : _BAND_SHIFT + by + bands]
            for by in range(-_BAND_SHIFT, _BAND_SHIFT + 1)
        ]
    )


def _cut_out(x: tf.Tensor, drawn_time: tf.Tensor, drawn_band: tf.Tensor, drawn_which: tf.Tensor) -> tf.Tensor:
    """Set a range of frames or of bands to 0, the middle of the scale."""
    in_time = tf.cast(drawn_which < 0.5, x.dtype)
    frames, bands = tf.linspace(0.0, 1.0, x.shape[1]), tf.linspace(0.0, 1.0, x.shape[2])
    time_middle = _between(-_TIME_CUT, 1.0, drawn_time) + _TIME_CUT / 2
    band_middle = _between(-_BAND_CUT, 1.0, drawn_band) + _BAND_CUT / 2
    time = tf.cast(tf.abs(frames[None, :, None, None] - time_middle) < _TIME_CUT / 2, x.dtype)
    band = tf.cast(tf.abs(bands[None, None, :, None] - band_middle) < _BAND_CUT / 2, x.dtype)
    return x * (1 - in_time * time - (1 - in_time) * band)

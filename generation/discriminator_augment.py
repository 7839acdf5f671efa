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


def augment(spectrograms: tf.Tensor, probability: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Change some examples: gain, contrast, a shift in time, a shift in frequency, and a rectangle cut out.

    Args:
        spectrograms: Scaled, `(batch, frames, bands, 1)`.
        probability: How likely each change is to be made, for each example.
        seed: Shape `(2,)`; the same seed gives the same changes.
    """
    changes = {_gain: 1, _contrast: 1, _time_shift: 1, _band_shift: 1, _cut_out: 3}
    # Drawn at once: this is traced four times in a training step, and a draw is many operations.
    num_draws = sum(changes.values()) + len(changes)
    shape = (num_draws, tf.shape(spectrograms)[0], 1, 1, 1)
    draws = iter(tf.unstack(tf.random.stateless_uniform(shape, seed, alg="philox")))
    for change, num_numbers in changes.items():
        made = next(draws) < probability
        changed = change(spectrograms, *(next(draws) for _ in range(num_numbers)))
        spectrograms = tf.where(made, changed, spectrograms)
    return spectrograms


# Each change takes numbers from 0 to 1, `(batch, 1, 1, 1)`, that decide how far it goes.


def _between(low: float, high: float, drawn: tf.Tensor) -> tf.Tensor:
    return low + (high - low) * drawn


def _gain(x: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    return x + _between(-_GAIN, _GAIN, drawn)


def _contrast(x: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    mean = tf.reduce_mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + (x - mean) * _between(1 - _CONTRAST, 1 + _CONTRAST, drawn)


def _time_shift(x: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """Move what is at the end to the beginning."""
    frames = x.shape[1]
    shift = tf.cast(drawn[:, 0, 0] * frames, tf.int32)
    return tf.gather(x, (tf.range(frames)[None] + shift) % frames, axis=1, batch_dims=1)


def _band_shift(x: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    """Move up or down by some bands; the outermost stands for what is missing."""
    bands = x.shape[2]
    shift = tf.round(_between(-_BAND_SHIFT - 0.5, _BAND_SHIFT + 0.5, drawn))
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


def _cut_out(x: tf.Tensor, drawn_time: tf.Tensor, drawn_band: tf.Tensor, drawn_which: tf.Tensor) -> tf.Tensor:
    """Set a stretch of time or of bands to the middle of the scale."""
    in_time = tf.cast(drawn_which < 0.5, x.dtype)
    frames, bands = tf.linspace(0.0, 1.0, x.shape[1]), tf.linspace(0.0, 1.0, x.shape[2])
    time_middle = _between(-_TIME_CUT, 1.0, drawn_time) + _TIME_CUT / 2
    band_middle = _between(-_BAND_CUT, 1.0, drawn_band) + _BAND_CUT / 2
    time = tf.cast(tf.abs(frames[None, :, None, None] - time_middle) < _TIME_CUT / 2, x.dtype)
    band = tf.cast(tf.abs(bands[None, None, :, None] - band_middle) < _BAND_CUT / 2, x.dtype)
    return x * (1 - in_time * time - (1 - in_time) * band)

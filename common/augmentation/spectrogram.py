"""Augmentation of spectrograms inside a model: layers that are active in training and return their input otherwise.

They take (batch, frames, bins) and draw random values per example. The state of the random generators is saved with the
model, so a resumed training draws the same values as an uninterrupted one.

Example:
    >>> import keras
    >>> log_mel = keras.random.normal((2, 101, 40))
    >>> for layer in (VocalTractPerturbation(0.15), TimeStretch(0.1), RandomEqualizer(3.0), SpecAugment()):
    ...     log_mel = layer(log_mel, training=True)
    >>> log_mel.shape
    TensorShape([2, 101, 40])
"""

import keras
import librosa
import numpy as np
import tensorflow as tf

_NUM_RATIOS = 65


class _RandomLayer(keras.layers.Layer):
    """Base class of random layers: saves the random generator, and returns the input outside training."""

    def __init__(self, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        """Do nothing: the layer has no weights."""
        self.built = True

    def call(self, inputs, training=False):
        """Return (batch, frames, bins): augmented inputs in training, otherwise the inputs."""
        return self.augment(inputs) if training else inputs

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def save_own_variables(self, store):
        """Save the state of the generator, which Keras does not save."""
        store["seed_generator_state"] = self.seed_generator.state.numpy()

    def load_own_variables(self, store):
        """Restore the state of the generator."""
        self.seed_generator.state.assign(store["seed_generator_state"])

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="quartet")
class SpecAugment(_RandomLayer):
    """Mask bands of frames and of bins in training.

    Masked values are set to the mean of the clip, so the layer has the same effect before and after normalisation.

    Park et al., "SpecAugment: A simple data augmentation method for automatic speech recognition" (2019, arXiv
    1904.08779), without its time warping.

    Args:
        num_time_masks: Number of masks along time.
        max_time_frames: Maximum width of a mask in frames; the width is drawn from 0 to this.
        num_frequency_masks: Number of masks along frequency.
        max_frequency_bins: Maximum width of a mask in bins.
        seed: Integer, or None for a random seed.

    Example:
        >>> spectrogram = keras.random.normal((2, 101, 40))
        >>> SpecAugment(num_frequency_masks=2, max_frequency_bins=7)(spectrogram, training=True).shape
        TensorShape([2, 101, 40])
    """

    def __init__(
        self,
        num_time_masks: int = 2,
        max_time_frames: int = 20,
        num_frequency_masks: int = 2,
        max_frequency_bins: int = 5,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(seed, **kwargs)
        self.num_time_masks = num_time_masks
        self.max_time_frames = max_time_frames
        self.num_frequency_masks = num_frequency_masks
        self.max_frequency_bins = max_frequency_bins

    def augment(self, inputs):
        """Return (batch, frames, bins) with masks."""
        batch, frames, bins = tf.unstack(tf.shape(inputs))
        hidden_frames = self._hidden(batch, frames, self.num_time_masks, self.max_time_frames)
        hidden_bins = self._hidden(batch, bins, self.num_frequency_masks, self.max_frequency_bins)
        hidden = tf.logical_or(hidden_frames[:, :, tf.newaxis], hidden_bins[:, tf.newaxis, :])
        # The sum over a clip can overflow float16.
        mean = tf.reduce_mean(tf.cast(inputs, tf.float32), axis=(1, 2), keepdims=True)
        return tf.where(hidden, tf.cast(mean, inputs.dtype), inputs)

    def _hidden(self, batch, size, num_masks, max_width):
        """Draw masks along one axis; returns booleans of shape (batch, size)."""
        draws = keras.random.uniform((2, batch, num_masks, 1), seed=self.seed_generator)
        widths = tf.floor(draws[0] * (tf.cast(tf.minimum(max_width, size), tf.float32) + 1))
        starts = tf.floor(draws[1] * (tf.cast(size, tf.float32) - widths + 1))
        positions = tf.range(tf.cast(size, tf.float32))
        return tf.reduce_any(tf.logical_and(positions >= starts, positions < starts + widths), axis=1)

    def get_config(self):
        """Return the arguments of the layer."""
        return {
            **super().get_config(),
            "num_time_masks": self.num_time_masks,
            "max_time_frames": self.max_time_frames,
            "num_frequency_masks": self.num_frequency_masks,
            "max_frequency_bins": self.max_frequency_bins,
        }


@keras.saving.register_keras_serializable(package="quartet")
class VocalTractPerturbation(_RandomLayer):
    """Scale the frequencies of a mel spectrogram by a factor, as vocal tract length scales formants.

    Jaitly and Hinton, "Vocal tract length perturbation (VTLP) improves speech recognition" (2013), with the same factor
    for all frequencies. Frequencies beyond the outer bands get the value of those bands.

    Args:
        max_warp: The log factor is drawn from -max_warp to max_warp; 0.15 moves 1000 Hz to between 861 and 1162 Hz.
        sample_rate, fmin_hz, fmax_hz, htk: Parameters of the mel filters, as in `common.features.LogMel`.
        seed: Integer, or None for a random seed.
    """

    def __init__(
        self,
        max_warp: float,
        sample_rate: int = 16000,
        fmin_hz: float = 0.0,
        fmax_hz: float | None = None,
        htk: bool = False,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(seed, **kwargs)
        self.max_warp = max_warp
        self.sample_rate = sample_rate
        self.fmin_hz = fmin_hz
        self.fmax_hz = fmax_hz
        self.htk = htk

    def augment(self, inputs):
        """Return (batch, frames, bins) with scaled frequencies."""
        # The mel scale is piecewise, so positions are looked up for a fine grid of factors instead of computed.
        chosen = keras.random.randint((tf.shape(inputs)[0],), 0, _NUM_RATIOS, seed=self.seed_generator)
        return _interpolate(inputs, tf.gather(tf.constant(self._positions(inputs.shape[2])), chosen), axis=2)

    def _positions(self, num_mels):
        """Return the source position of each band, in bands, for every factor; shape (factors, num_mels)."""
        fmax_hz = self.fmax_hz or self.sample_rate / 2
        edges = librosa.mel_frequencies(num_mels + 2, fmin=self.fmin_hz, fmax=fmax_hz, htk=self.htk)
        mels = librosa.hz_to_mel(edges, htk=self.htk)
        factors = np.exp(np.linspace(-self.max_warp, self.max_warp, _NUM_RATIOS))
        wanted = librosa.hz_to_mel(edges[1:-1] / factors[:, np.newaxis], htk=self.htk)
        return ((wanted - mels[1]) / (mels[1] - mels[0])).astype(np.float32)

    def get_config(self):
        """Return the arguments of the layer."""
        return {
            **super().get_config(),
            "max_warp": self.max_warp,
            "sample_rate": self.sample_rate,
            "fmin_hz": self.fmin_hz,
            "fmax_hz": self.fmax_hz,
            "htk": self.htk,
        }


@keras.saving.register_keras_serializable(package="quartet")
class TimeStretch(_RandomLayer):
    """Stretch or compress a spectrogram in time around its centre, which changes the tempo and keeps the pitch.

    Frames beyond the ends repeat the outer frames.

    Args:
        max_stretch: The log speed factor is drawn from -max_stretch to max_stretch.
        seed: Integer, or None for a random seed.
    """

    def __init__(self, max_stretch: float, seed: int | None = None, **kwargs):
        super().__init__(seed, **kwargs)
        self.max_stretch = max_stretch

    def augment(self, inputs):
        """Return (batch, frames, bins) at another tempo."""
        batch, frames, _ = tf.unstack(tf.shape(inputs))
        rates = tf.exp(keras.random.uniform((batch, 1), -self.max_stretch, self.max_stretch, seed=self.seed_generator))
        centre = (tf.cast(frames, tf.float32) - 1) / 2
        positions = centre + rates * (tf.range(tf.cast(frames, tf.float32)) - centre)
        return _interpolate(inputs, positions, axis=1)

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "max_stretch": self.max_stretch}


@keras.saving.register_keras_serializable(package="quartet")
class RandomEqualizer(_RandomLayer):
    """Add a random curve over frequency, which simulates other microphones and distances.

    For spectrograms that are the natural logarithm of power. The curve interpolates linearly between Gaussian values at
    knots evenly spaced over the bins. Based on Nam et al., "FilterAugment" (2022, arXiv 2110.03282).

    Args:
        deviation_db: Standard deviation of the values, in dB.
        num_knots: Number of knots, at least 2.
        seed: Integer, or None for a random seed.
    """

    def __init__(self, deviation_db: float, num_knots: int = 5, seed: int | None = None, **kwargs):
        super().__init__(seed, **kwargs)
        self.deviation_db = deviation_db
        self.num_knots = num_knots

    def augment(self, inputs):
        """Return (batch, frames, bins) with a random gain per bin."""
        deviation = self.deviation_db / 10 * np.log(10)
        values = keras.random.normal(
            (tf.shape(inputs)[0], self.num_knots), stddev=deviation, seed=self.seed_generator, dtype="float32"
        )
        knots = np.linspace(0, inputs.shape[2] - 1, self.num_knots)
        lines = [np.interp(np.arange(inputs.shape[2]), knots, unit) for unit in np.eye(self.num_knots)]
        curves = tf.matmul(values, tf.constant(np.array(lines, np.float32)))
        return inputs + tf.cast(curves, inputs.dtype)[:, tf.newaxis, :]

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "deviation_db": self.deviation_db, "num_knots": self.num_knots}


def _interpolate(inputs, positions, axis):
    """Interpolate every example linearly at fractional positions along an axis; the ends are repeated.

    Args:
        inputs: Shape (batch, frames, bins).
        positions: Shape (batch, size of the axis).
        axis: 1 or 2.

    Returns:
        Shape (batch, frames, bins).
    """
    size = tf.shape(inputs)[axis]
    positions = tf.clip_by_value(positions, 0.0, tf.cast(size, tf.float32) - 1)
    # Interpolation weights as a matrix: a matrix product is much faster than gathering values.
    distances = tf.abs(positions[:, :, tf.newaxis] - tf.range(tf.cast(size, tf.float32)))
    weights = tf.cast(tf.maximum(1 - distances, 0.0), inputs.dtype)
    return tf.matmul(weights, inputs) if axis == 1 else tf.matmul(inputs, weights, transpose_b=True)

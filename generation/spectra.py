"""Convert waveforms to scaled spectrograms and back, in the graph.

Decibels are scaled to [-1, 1] by two values per band, `low` for -1 and `high` for 1, and values outside are clipped.
`low` and `high` are measured on training excerpts and stored with the weights. Only the phase and the clipped values
are lost.
"""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from common.errors import UserError
from common.features import inversion, spectral
from common.features.lengths import num_frames
from generation.config import Config

_PERCENTILES = (0.5, 99.95)
_DEVIATIONS = 3.0
# Excerpts with a smaller range of decibels are an error.
_LEAST_RANGE_DB = 1.0


@keras.saving.register_keras_serializable(package="quartet")
class Spectra(keras.layers.Layer):
    """Maps waveforms `(batch, samples)` to scaled spectrograms `(batch, frames, bands)` in [-1, 1].

    Args:
        config: Gives sample rate, framing, bands and scaling.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, config: Config, **kwargs):
        super().__init__(**{"trainable": False, "autocast": False, "dtype": "float32", **kwargs})
        self.config = config
        # Always float32, independent of the dtype policy, as in `common.features`.
        weight = {"shape": (config.bands,), "dtype": "float32", "trainable": False, "autocast": False}
        self.low = self.add_weight(**weight, initializer="zeros", name="low")
        self.high = self.add_weight(**weight, initializer="ones", name="high")
        # On several devices Keras would otherwise build the model by calling it on a batch of waveforms.
        self.built = True

    def call(self, waveforms):
        """Compute scaled spectrograms of waveforms."""
        return tf.cast(self.scaled(self.decibels(waveforms)), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, frames, bands)."""
        batch, samples = input_shape
        frames = samples and num_frames(samples, self.config.n_fft, self.config.hop_length)
        return (batch, frames and frames - (self.config.features != "mel"), self.config.bands)

    def decibels(self, waveforms: tf.Tensor) -> tf.Tensor:
        """Map waveforms `(batch, samples)` to decibels `(batch, frames, bands)`; 0 dB is a power of 1."""
        config = self.config
        framing = {"n_fft": config.n_fft, "hop_length": config.hop_length}
        if config.features == "mel":
            power = spectral.mel_spectrogram(waveforms, config.sample_rate, config.num_mels, **framing)
        else:
            real, imaginary = spectral.stft_parts(waveforms, **framing)
            power = (tf.square(real) + tf.square(imaginary))[:, :-1, :-1]
        return spectral.power_to_db(power, top_db=None)

    def scaled(self, decibels: tf.Tensor) -> tf.Tensor:
        """Scale decibels to [-1, 1], and clip values outside."""
        low, high = tf.convert_to_tensor(self.low), tf.convert_to_tensor(self.high)
        return tf.clip_by_value(2 * (decibels - low) / (high - low) - 1, -1, 1)

    def unscaled(self, spectrograms: tf.Tensor) -> tf.Tensor:
        """Convert scaled spectrograms to decibels."""
        low, high = tf.convert_to_tensor(self.low), tf.convert_to_tensor(self.high)
        return low + (tf.cast(spectrograms, tf.float32) + 1) / 2 * (high - low)

    # In eager mode 16 pieces of the default network take 1.5 times as long.
    @tf.function(autograph=False, reduce_retracing=True)
    def waveforms(self, spectrograms: tf.Tensor) -> tf.Tensor:
        """Convert scaled spectrograms `(batch, frames, bands)` of any length to waveforms `(batch, samples)`."""
        config = self.config
        decibels = self.unscaled(spectrograms)
        framing = {"n_fft": config.n_fft, "hop_length": config.hop_length}
        if config.features == "mel":
            return inversion.mel_db_to_waveform(
                decibels,
                config.sample_rate,
                num_mels=config.num_mels,
                num_iterations=config.phase_iterations,
                **framing,
            )
        magnitude = tf.pow(10.0, tf.pad(decibels, [[0, 0], [0, 1], [0, 1]], constant_values=-100.0) / 20)
        return spectral.griffin_lim(magnitude, **framing, num_iterations=config.phase_iterations)

    def adapt(self, batches: Iterable[tf.Tensor]) -> None:
        """Set `low` and `high` from training excerpts.

        Args:
            batches: Waveforms of training excerpts, `(batch, samples)`.

        Raises:
            UserError: The excerpts are silent or constant.
        """
        decibels = np.concatenate([self.decibels(batch).numpy().reshape(-1, self.config.bands) for batch in batches])
        if self.config.scaling == "bands":
            mean, deviation = decibels.mean(axis=0), np.maximum(decibels.std(axis=0), 1e-3)
            low, high = mean - _DEVIATIONS * deviation, mean + _DEVIATIONS * deviation
        else:
            low, high = (np.full(self.config.bands, value) for value in np.percentile(decibels, _PERCENTILES))
        if not np.max(high - low) > _LEAST_RANGE_DB:
            raise UserError("the training excerpts contain no music: their spectrograms are constant")
        self.low.assign(low.astype(np.float32))
        self.high.assign(high.astype(np.float32))


def resize(spectrograms: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Resize spectrograms `(batch, frames, bands, 1)` as images, unless they already have the size."""
    if tuple(spectrograms.shape[1:3]) == tuple(size):
        return spectrograms
    return tf.cast(tf.image.resize(spectrograms, size, antialias=True), spectrograms.dtype)

"""Keras layers around a separation network: waveforms to its input, and its output to the waveforms of the stems.

Spectra are `(batch, channels, 2, frames, bins)`, where axis 2 is the real and imaginary part; a stem axis comes before
the channels. The bins of a frame are contiguous in memory, so every step is one pass over long rows. A network works on
`(batch, frames, bins - 1, features)`: the highest bin, at half the sample rate, reuses the output of the bin below it.
"""

import keras
import tensorflow as tf

from common.features import FramedLayer, in_type, spectral

EPSILON = 1e-7


@keras.saving.register_keras_serializable(package="quartet")
class MixtureSpectrum(FramedLayer):
    """Short-time Fourier transform of every channel of a mixture.

    Maps `(batch, samples, channels)` to `(batch, channels, 2, frames, bins)`.
    """

    def call(self, mixture):
        """Compute the real and the imaginary part."""
        parts = spectral.stft_parts(tf.transpose(mixture, [0, 2, 1]), **self.framing)
        return self._output(tf.stack(parts, axis=2))

    def compute_output_shape(self, input_shape):
        """Return (batch, channels, 2, frames, bins)."""
        batch, samples, channels = input_shape
        return (batch, channels, 2, *self._spectrogram_shape((samples,), 1 + self.n_fft // 2))


@keras.saving.register_keras_serializable(package="quartet")
class StemWaveforms(FramedLayer):
    """Inverse short-time Fourier transform of the stems, the inverse of `MixtureSpectrum`.

    Maps `(batch, stems, channels, 2, frames, bins)` to `(batch, stems, length, channels)`.

    Args:
        length: Number of output samples.
        **kwargs: Arguments of `FramedLayer`, the same as for `MixtureSpectrum`.
    """

    def __init__(self, length: int, **kwargs):
        super().__init__(**kwargs)
        self.length = length

    def call(self, spectra):
        """Apply the inverse transform, and put channels last."""
        parts = tf.unstack(tf.cast(spectra, tf.float32), axis=3)
        framing = {name: value for name, value in self.framing.items() if name != "pad_mode"}
        waveforms = spectral.istft_parts(parts, **framing, length=self.length)
        return self._output(tf.transpose(waveforms, [0, 1, 3, 2]))

    def compute_output_shape(self, input_shape):
        """Return (batch, stems, length, channels)."""
        batch, stems, channels, *_ = input_shape
        return (batch, stems, self.length, channels)

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "length": self.length}


@keras.saving.register_keras_serializable(package="quartet")
class SpectrumFeatures(keras.layers.Layer):
    """Input features of a network: the spectrum of the mixture, normalised by its level.

    Maps spectra `(batch, channels, 2, frames, bins)` to `(batch, frames, bins - 1, features)`. The features are the
    magnitude of each channel, or with `parts` its real and imaginary part.

    Args:
        parts: Whether to return real and imaginary parts instead of magnitudes.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, parts: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.parts = parts

    def call(self, spectrum):
        """Divide by the mixture's level, and put channels last."""
        values = tf.cast(spectrum, tf.float32)[..., :-1]
        if self.parts:
            shape = tf.shape(values)
            values = tf.reshape(values, [shape[0], values.shape[1] * 2, shape[3], values.shape[4]])
        else:
            values = spectral.magnitude(values[:, :, 0], values[:, :, 1])
        values /= level(spectrum)[:, 0]
        return tf.cast(tf.transpose(values, [0, 2, 3, 1]), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, frames, bins - 1, features)."""
        batch, channels, _, frames, bins = input_shape
        return (batch, frames, bins - 1, channels * (2 if self.parts else 1))

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "parts": self.parts}


def level(spectrum):
    """Return the root mean square of each example's spectrum, shape `(batch, 1, 1, 1, 1)`; never 0."""
    power = tf.reduce_mean(tf.square(tf.cast(spectrum, tf.float32)), axis=(1, 2, 3, 4), keepdims=True)
    return tf.sqrt(power + EPSILON**2)


@keras.saving.register_keras_serializable(package="quartet")
class Masks(keras.layers.Layer):
    """Turns the output of a network into masks in [0, 1].

    Maps `(batch, frames, bins - 1, stems * channels)` to `(batch, stems, channels, frames, bins - 1)`.

    Args:
        num_stems: Number of stems.
        softmax: Whether to apply a softmax over the stems, so that the masks sum to 1; otherwise a sigmoid.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, num_stems: int, softmax: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.num_stems = num_stems
        self.softmax = softmax

    def call(self, logits):
        """Put stems first, and apply the softmax or sigmoid."""
        values = tf.squeeze(unfold(tf.cast(logits, tf.float32), self.num_stems, 1), axis=3)
        masks = tf.nn.softmax(values, axis=1) if self.softmax else tf.nn.sigmoid(values)
        return tf.cast(masks, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, stems, channels, frames, bins - 1)."""
        batch, frames, bins, features = input_shape
        return (batch, self.num_stems, features // self.num_stems, frames, bins)

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "num_stems": self.num_stems, "softmax": self.softmax}


def unfold(outputs, num_stems: int, num_parts: int):
    """Reshape `(batch, frames, bins, stems * channels * parts)` to `(batch, stems, channels, parts, frames, bins)`."""
    batch, frames = tf.unstack(tf.shape(outputs)[:2])
    bins, features = outputs.shape[2:]
    values = tf.transpose(outputs, [0, 3, 1, 2])
    return tf.reshape(values, [batch, num_stems, features // (num_stems * num_parts), num_parts, frames, bins])


@keras.saving.register_keras_serializable(package="quartet")
class MaskedSpectra(keras.layers.Layer):
    """Multiplies the spectrum of the mixture by the mask of each stem; the phase stays that of the mixture.

    Maps spectra `(batch, channels, 2, frames, bins)` and masks `(batch, stems, channels, frames, bins - 1)` to
    `(batch, stems, channels, 2, frames, bins)`.

    Args:
        kind: How masks are changed outside training. "sigmoid" and "softmax" do not change them, "binary" thresholds
            them at 0.5, and "ratio" normalises their power over the stems, as in Spleeter.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, kind: str, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, inputs, training=False):
        """Change the masks outside training, and multiply."""
        spectrum, masks = (tf.cast(values, tf.float32) for values in inputs)
        if self.kind == "binary" and not training:
            masks = tf.cast(masks > 0.5, tf.float32)
        if self.kind == "ratio" and not training:
            power = tf.square(masks)
            floor = EPSILON / masks.shape[1]
            masks = (power + floor) / (tf.reduce_sum(power, axis=1, keepdims=True) + EPSILON)
        masks = tf.concat([masks, masks[..., -1:]], axis=-1)
        return in_type(tf.expand_dims(spectrum, 1) * tf.expand_dims(masks, 3), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, stems, channels, 2, frames, bins)."""
        spectrum, masks = input_shape
        return (spectrum[0], masks[1], *spectrum[1:])

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "kind": self.kind}


@keras.saving.register_keras_serializable(package="quartet")
class ComplexSpectra(keras.layers.Layer):
    """Turns the output of a network into the complex spectra of the stems.

    Maps spectra `(batch, channels, 2, frames, bins)` and outputs `(batch, frames, bins - 1, stems * channels * 2)` to
    `(batch, stems, channels, 2, frames, bins)`.

    Args:
        num_stems: Number of stems.
        masks: Whether the outputs are complex masks, to be multiplied by the spectrum of the mixture. Otherwise they
            are the spectra of the stems, scaled to the level of the mixture.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, num_stems: int, masks: bool, **kwargs):
        super().__init__(**kwargs)
        self.num_stems = num_stems
        self.masks = masks

    def call(self, inputs):
        """Multiply by the complex masks, or scale to the level of the mixture."""
        spectrum, outputs = inputs
        # Slice first, and add axes with expand_dims: LiteRT of TensorFlow 2.16 slices at most five axes.
        outputs = tf.concat([outputs, outputs[:, :, -1:]], axis=2)
        spectrum = tf.cast(spectrum, tf.float32)
        values = unfold(tf.cast(outputs, tf.float32), self.num_stems, 2)
        if not self.masks:
            return in_type(values * tf.expand_dims(level(spectrum), 1), self.compute_dtype)
        real, imaginary = tf.unstack(tf.expand_dims(spectrum, 1), axis=3)
        mask_real, mask_imaginary = tf.unstack(values, axis=3)
        parts = [real * mask_real - imaginary * mask_imaginary, real * mask_imaginary + imaginary * mask_real]
        return in_type(tf.stack(parts, axis=3), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, stems, channels, 2, frames, bins)."""
        spectrum, _ = input_shape
        return (spectrum[0], self.num_stems, *spectrum[1:])

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "num_stems": self.num_stems, "masks": self.masks}


@keras.saving.register_keras_serializable(package="quartet")
class FrequencyDense(keras.layers.Layer):
    """A dense layer without bias over the bins of a frame, shared by all frames and channels.

    Maps `(batch, frames, bins, channels)` to `(batch, frames, units, channels)`. It is a matrix product, which needs no
    transpose; an einsum transposes the tensor twice and takes 1.5 to 4 times as long.

    Args:
        units: Number of output bins.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        """Create the kernel, shape `(bins, units)`."""
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[2], self.units))

    def call(self, inputs):
        """Multiply."""
        return tf.matmul(self.kernel, inputs, transpose_a=True)

    def compute_output_shape(self, input_shape):
        """Return (batch, frames, units, channels)."""
        batch, frames, _, channels = input_shape
        return (batch, frames, self.units, channels)

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "units": self.units}

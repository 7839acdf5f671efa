"""Keras layers around a separation network: from waveforms to what it sees, and from what it answers to the stems' waveforms.

Spectra are `(batch, channels, 2, frames, bins)`, real and imaginary part; stems come before channels. What is alike lies
side by side in memory, so that every step is one pass over long rows. A network works on `(batch, frames, bins - 1,
features)`: the highest bin, half the sample rate, takes what the one below it gets.
"""

import keras
import tensorflow as tf

from common.features import FramedLayer, in_type, spectral

EPSILON = 1e-7


@keras.saving.register_keras_serializable(package="quartet")
class MixtureSpectrum(FramedLayer):
    """Short-time spectrum of every channel of a mixture.

    Takes `(batch, samples, channels)` and gives `(batch, channels, 2, frames, bins)`.
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
    """The waveforms of stems' spectra; undoes `MixtureSpectrum`.

    Takes `(batch, stems, channels, 2, frames, bins)` and gives `(batch, stems, length, channels)`.

    Args:
        length: Number of samples to give.
        **kwargs: Of `FramedLayer`, as the spectra were made.
    """

    def __init__(self, length: int, **kwargs):
        super().__init__(**kwargs)
        self.length = length

    def call(self, spectra):
        """Transform back, and put channels last."""
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
    """What a network sees of a mixture, at a level of its own: loud and soft songs look the same.

    Takes spectra `(batch, channels, 2, frames, bins)` and gives `(batch, frames, bins - 1, features)`: a magnitude for each
    channel, or with `parts` the real and the imaginary part of each.

    Args:
        parts: Whether to give real and imaginary parts.
        **kwargs: Of `keras.layers.Layer`.
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
    """A network's answers as masks in [0, 1].

    Takes `(batch, frames, bins - 1, stems * channels)` and gives `(batch, stems, channels, frames, bins - 1)`.

    Args:
        num_stems: Number of stems.
        softmax: Whether the masks of all stems sum to 1; otherwise each is a sigmoid by itself.
        **kwargs: Of `keras.layers.Layer`.
    """

    def __init__(self, num_stems: int, softmax: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.num_stems = num_stems
        self.softmax = softmax

    def call(self, answers):
        """Put stems first, and squeeze."""
        values = tf.squeeze(unfold(tf.cast(answers, tf.float32), self.num_stems, 1), axis=3)
        masks = tf.nn.softmax(values, axis=1) if self.softmax else tf.nn.sigmoid(values)
        return tf.cast(masks, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, stems, channels, frames, bins - 1)."""
        batch, frames, bins, features = input_shape
        return (batch, self.num_stems, features // self.num_stems, frames, bins)

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "num_stems": self.num_stems, "softmax": self.softmax}


def unfold(answers, num_stems: int, num_parts: int):
    """Turn `(batch, frames, bins, stems * channels * parts)` into `(batch, stems, channels, parts, frames, bins)`."""
    batch, frames = tf.unstack(tf.shape(answers)[:2])
    bins, features = answers.shape[2:]
    values = tf.transpose(answers, [0, 3, 1, 2])
    return tf.reshape(values, [batch, num_stems, features // (num_stems * num_parts), num_parts, frames, bins])


@keras.saving.register_keras_serializable(package="quartet")
class MaskedSpectra(keras.layers.Layer):
    """The mixture's spectrum under the mask of each stem, with the mixture's phase.

    Takes spectra `(batch, channels, 2, frames, bins)` and masks `(batch, stems, channels, frames, bins - 1)`, and gives
    `(batch, stems, channels, 2, frames, bins)`.

    Args:
        kind: What becomes of the masks outside training: "sigmoid" and "softmax" leave them, "binary" cuts them at 0.5,
            "ratio" takes each stem's share of all stems' power, as Spleeter does.
        **kwargs: Of `keras.layers.Layer`.
    """

    def __init__(self, kind: str, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def call(self, inputs, training=False):
        """Multiply."""
        spectrum, masks = (tf.cast(values, tf.float32) for values in inputs)
        if self.kind == "binary" and not training:
            masks = tf.cast(masks > 0.5, tf.float32)
        if self.kind == "ratio" and not training:
            power = tf.square(masks)
            share = EPSILON / masks.shape[1]
            masks = (power + share) / (tf.reduce_sum(power, axis=1, keepdims=True) + EPSILON)
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
    """A network's answers as complex masks of the mixture, or as the stems' spectra themselves.

    Takes spectra `(batch, channels, 2, frames, bins)` and answers `(batch, frames, bins - 1, stems * channels * 2)`, and
    gives `(batch, stems, channels, 2, frames, bins)`.

    Args:
        num_stems: Number of stems.
        masks: Whether the answers are masks that the mixture's spectrum is multiplied with.
        **kwargs: Of `keras.layers.Layer`.
    """

    def __init__(self, num_stems: int, masks: bool, **kwargs):
        super().__init__(**kwargs)
        self.num_stems = num_stems
        self.masks = masks

    def call(self, inputs):
        """Multiply as complex numbers, or bring to the mixture's level."""
        spectrum, answers = inputs
        # Slices before, and new axes by expand_dims: LiteRT of TensorFlow 2.16 slices no more than five axes.
        answers = tf.concat([answers, answers[:, :, -1:]], axis=2)
        spectrum = tf.cast(spectrum, tf.float32)
        values = unfold(tf.cast(answers, tf.float32), self.num_stems, 2)
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
    """A dense layer over the bins of a frame, the same for every frame and channel, without bias.

    Takes `(batch, frames, bins, channels)` and gives `(batch, frames, units, channels)`. As a product of matrices the
    channels stay where they are; an einsum turns the tensor twice and takes one and a half to four times as long.

    Args:
        units: How many bins to give.
        **kwargs: Of `keras.layers.Layer`.
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

"""Spectral features as Keras layers, thin wrappers of `common.features.spectral`.

A layer gives the same values for a clip alone and in any batch, eagerly, in `tf.data`, under XLA, after saving, and in
LiteRT. It computes in float32 under every policy, because rounding a waveform to half precision adds noise. Only the
output has the compute type of the policy; values too large for half precision become its largest value.

LiteRT supports transforms whose length is a power of two, or at most `common.features.fourier.MAX_MATRIX_LENGTH`.

Example:
    >>> import keras
    >>> waveform = keras.random.uniform((2, 22050), -1, 1)
    >>> MFCC(sample_rate=22050)(waveform).shape
    TensorShape([2, 44, 13])
"""

import keras
import tensorflow as tf

from common.errors import UserError
from common.features import checks, lengths, spectral


class FramedLayer(keras.layers.Layer):
    """Base class of the feature layers, with the framing arguments.

    Args:
        n_fft: Length of the Fourier transform in samples.
        hop_length: Hop between frames in samples.
        win_length: Length of the window in samples, at most `n_fft`; `n_fft` by default.
        window: Name of a window in `scipy.signal`, in its periodic form.
        center: Whether frame t is centred at sample t * hop_length; otherwise it begins there.
        pad_mode: Padding at the ends with `center`: "constant" (zeros) or "reflect".
        **kwargs: Arguments of `keras.layers.Layer`: `name`, `dtype`.

    Raises:
        UserError: An argument is out of range.
    """

    def __init__(
        self,
        n_fft: int = 2048,
        hop_length: int = 512,
        win_length: int | None = None,
        window: str = "hann",
        center: bool = True,
        pad_mode: str = "constant",
        **kwargs,
    ):
        super().__init__(autocast=False, trainable=False, **kwargs)
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.win_length = win_length
        self.window = window
        self.center = center
        self.pad_mode = pad_mode
        checks.framing(n_fft, hop_length, win_length, pad_mode)
        spectral.window_samples(window, win_length, n_fft)

    @property
    def framing(self) -> dict:
        """The arguments for `spectral.stft`."""
        names = ("n_fft", "hop_length", "win_length", "window", "center", "pad_mode")
        return {name: getattr(self, name) for name in names}

    def get_config(self):
        """Return the arguments of the layer."""
        config = super().get_config()
        del config["trainable"]
        return {**config, **self.framing}

    def build(self, input_shape):
        """Check the input shape; there are no weights to create."""
        self.compute_output_shape(input_shape)
        self.built = True

    def _spectrogram_shape(self, waveform_shape, num_bins):
        *leading, samples = waveform_shape
        if samples is None:
            return (*leading, None, num_bins)
        num_frames = lengths.num_frames(samples, self.n_fft, self.hop_length, self.center, self.pad_mode)
        return (*leading, num_frames, num_bins)

    def _waveform_shape(self, spectrogram_shape, length):
        *leading, num_frames, num_bins = spectrogram_shape
        checks.bins(num_bins, self.n_fft)
        if length is None and num_frames is not None:
            length = self.n_fft + (num_frames - 1) * self.hop_length - (2 * (self.n_fft // 2) if self.center else 0)
        return (*leading, length)

    def _output(self, values):
        return in_type(values, self.compute_dtype)


@keras.saving.register_keras_serializable(package="quartet")
class Spectrogram(FramedLayer):
    """Short-time spectrum of a waveform, as `librosa.stft`.

    Maps (..., samples) to (..., frames, bins) with bins = 1 + n_fft // 2. With output "complex" the shape is (...,
    frames, bins, 2), real and imaginary part, as `InverseSpectrogram` expects.

    Args:
        output: "magnitude", "power", "db" (decibels of the magnitude, 0 dB at 1) or "complex".
        top_db: With "db", values are clipped to this many dB below the maximum of the clip; None turns clipping off.
        **kwargs: Arguments of `FramedLayer`.

    Raises:
        UserError: An argument is out of range, or a waveform is too short.

    Example:
        >>> Spectrogram(output="db", n_fft=512, hop_length=160)(keras.ops.ones((1, 16000))).shape
        TensorShape([1, 101, 257])
    """

    def __init__(self, output: str = "magnitude", top_db: float | None = 80.0, **kwargs):
        super().__init__(**kwargs)
        self.output_type = output
        self.top_db = top_db
        checks.choice("output", output, ("magnitude", "power", "db", "complex"))
        checks.decibels(top_db=top_db)

    def call(self, inputs):
        """Convert waveforms (..., samples) to spectrograms (..., frames, bins)."""
        real, imaginary = spectral.stft_parts(inputs, **self.framing)
        if self.output_type == "complex":
            return self._output(tf.stack([real, imaginary], axis=-1))
        if self.output_type == "magnitude":
            return self._output(spectral.magnitude(real, imaginary))
        power = tf.square(real) + tf.square(imaginary)
        return self._output(power if self.output_type == "power" else spectral.power_to_db(power, top_db=self.top_db))

    def compute_output_shape(self, input_shape):
        """Return (..., frames, bins), or (..., frames, bins, 2) for complex output."""
        shape = self._spectrogram_shape(input_shape, 1 + self.n_fft // 2)
        return (*shape, 2) if self.output_type == "complex" else shape

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "output": self.output_type, "top_db": self.top_db}


class MelLayer(FramedLayer):
    """Base class of the layers with mel bands.

    Args:
        sample_rate: Sample rate of the waveforms in Hz.
        num_mels: Number of mel bands.
        fmin_hz: Lower edge of the lowest band in Hz.
        fmax_hz: Upper edge of the highest band in Hz; half the sample rate by default.
        htk: Whether to use the HTK mel scale instead of Slaney's.
        norm: "slaney" gives every band the same area, None the same height.
        top_db: Decibels are clipped to this far below the maximum of the clip; None turns clipping off.
        **kwargs: Arguments of `FramedLayer`.

    Raises:
        UserError: An argument is out of range.
    """

    def __init__(
        self,
        sample_rate: int,
        num_mels: int,
        fmin_hz: float = 0.0,
        fmax_hz: float | None = None,
        htk: bool = False,
        norm: str | None = "slaney",
        top_db: float | None = 80.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.sample_rate = sample_rate
        self.num_mels = num_mels
        self.fmin_hz = fmin_hz
        self.fmax_hz = fmax_hz
        self.htk = htk
        self.norm = norm
        self.top_db = top_db
        checks.mel(**self.mel)
        checks.decibels(top_db=top_db)

    @property
    def mel(self) -> dict:
        """The arguments for `spectral.mel_filterbank`, without `n_fft`."""
        names = ("sample_rate", "num_mels", "fmin_hz", "fmax_hz", "htk", "norm")
        return {name: getattr(self, name) for name in names}

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), **self.mel, "top_db": self.top_db}


@keras.saving.register_keras_serializable(package="quartet")
class LogMel(MelLayer):
    """Log mel power spectrogram, the logarithm of `librosa.feature.melspectrogram`.

    Maps (..., samples) to (..., frames, num_mels). The defaults, at 16 kHz, are the features of BC-ResNet: 40
    bands, windows of 30 ms, hops of 10 ms, the natural logarithm.

    Args:
        sample_rate, num_mels: As in `MelLayer`.
        scale: "natural" for log(power + offset), "db" for `librosa.power_to_db` with 0 dB at 1.
        offset: Value above 0 that is added to the power before the natural logarithm.
        n_fft, hop_length, win_length: As in `FramedLayer`.
        **kwargs: Arguments of `MelLayer` and `FramedLayer`.

    Raises:
        UserError: An argument is out of range, or a waveform is too short.

    Example:
        >>> LogMel()(keras.ops.ones((1, 16000))).shape
        TensorShape([1, 101, 40])
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        num_mels: int = 40,
        scale: str = "natural",
        offset: float = 1e-6,
        n_fft: int = 512,
        hop_length: int = 160,
        win_length: int | None = 480,
        **kwargs,
    ):
        super().__init__(
            sample_rate=sample_rate,
            num_mels=num_mels,
            n_fft=n_fft,
            hop_length=hop_length,
            win_length=win_length,
            **kwargs,
        )
        self.scale = scale
        self.offset = offset
        checks.choice("scale", scale, ("natural", "db"))
        if not offset > 0:
            raise UserError(
                f"offset is {offset}; use a number above 0 so that silence has a logarithm, for example 1e-6"
            )

    def call(self, inputs):
        """Convert waveforms (..., samples) to spectrograms (..., frames, num_mels)."""
        power = spectral.mel_spectrogram(inputs, **self.mel, **self.framing)
        if self.scale == "natural":
            return self._output(tf.math.log(power + self.offset))
        return self._output(spectral.power_to_db(power, top_db=self.top_db))

    def compute_output_shape(self, input_shape):
        """Return (..., frames, num_mels)."""
        return self._spectrogram_shape(input_shape, self.num_mels)

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


@keras.saving.register_keras_serializable(package="quartet")
class MFCC(MelLayer):
    """Mel-frequency cepstral coefficients, as `librosa.feature.mfcc`.

    Maps (..., samples) to (..., frames, num_mfcc). The defaults are librosa's.

    Args:
        sample_rate, num_mels: As in `MelLayer`.
        num_mfcc: Number of coefficients, at most `num_mels`.
        **kwargs: Arguments of `MelLayer` and `FramedLayer`.

    Raises:
        UserError: An argument is out of range, or a waveform is too short.

    Example:
        >>> MFCC()(keras.ops.ones((1, 22050))).shape
        TensorShape([1, 44, 13])
    """

    def __init__(self, sample_rate: int = 22050, num_mfcc: int = 13, num_mels: int = 128, **kwargs):
        super().__init__(sample_rate=sample_rate, num_mels=num_mels, **kwargs)
        self.num_mfcc = num_mfcc
        checks.count("num_mfcc", num_mfcc, maximum=num_mels, why=f"num_mels is {num_mels}")

    def call(self, inputs):
        """Convert waveforms (..., samples) to coefficients (..., frames, num_mfcc)."""
        power = spectral.mel_spectrogram(inputs, **self.mel, **self.framing)
        return self._output(spectral.mfcc(power, self.num_mfcc, self.top_db))

    def compute_output_shape(self, input_shape):
        """Return (..., frames, num_mfcc)."""
        return self._spectrogram_shape(input_shape, self.num_mfcc)

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "num_mfcc": self.num_mfcc}


@keras.saving.register_keras_serializable(package="quartet")
class InverseSpectrogram(FramedLayer):
    """Inverse of `Spectrogram(output="complex")`, as `librosa.istft`.

    Maps (..., frames, 1 + n_fft // 2, 2), real and imaginary part, to (..., samples).

    Args:
        length: Number of output samples, cut or padded with zeros; by default the length that the frames cover.
        **kwargs: Arguments of `FramedLayer` that made the spectrogram.

    Raises:
        UserError: An argument is out of range, or the number of bins does not match `n_fft`.

    Example:
        >>> spectrogram = Spectrogram(output="complex")(keras.ops.ones((1, 16000)))
        >>> InverseSpectrogram(length=16000)(spectrogram).shape
        TensorShape([1, 16000])
    """

    def __init__(self, length: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.length = length
        checks.count("length", 1 if length is None else length)

    def call(self, inputs):
        """Convert complex spectrograms (..., frames, bins, 2) to waveforms (..., samples)."""
        parts = tf.unstack(tf.cast(inputs, tf.float32), num=2, axis=-1)
        framing = {name: value for name, value in self.framing.items() if name != "pad_mode"}
        return self._output(spectral.istft_parts(parts, **framing, length=self.length))

    def compute_output_shape(self, input_shape):
        """Return (..., samples)."""
        return self._waveform_shape(input_shape[:-1], self.length)

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "length": self.length}


@keras.saving.register_keras_serializable(package="quartet")
class GriffinLim(FramedLayer):
    """Estimate a waveform from a magnitude spectrogram, as `librosa.griffinlim`; deterministic.

    Maps (..., frames, 1 + n_fft // 2) to (..., samples).

    Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm" (2013).

    Args:
        num_iterations: Number of iterations.
        momentum: 0 for the algorithm of Griffin and Lim (1984); below 1.
        length: Number of output samples, cut or padded with zeros; by default the length that the frames cover.
        seed: Seed of the initial phases.
        **kwargs: Arguments of `FramedLayer` that made the spectrogram.

    Raises:
        UserError: An argument is out of range, or the number of bins does not match `n_fft`.

    Example:
        >>> spectrogram = Spectrogram()(keras.ops.ones((1, 16000)))
        >>> GriffinLim(num_iterations=2)(spectrogram).shape
        TensorShape([1, 15872])
    """

    def __init__(
        self, num_iterations: int = 32, momentum: float = 0.99, length: int | None = None, seed: int = 0, **kwargs
    ):
        super().__init__(**kwargs)
        self.num_iterations = num_iterations
        self.momentum = momentum
        self.length = length
        self.seed = seed
        checks.count("length", 1 if length is None else length)
        checks.griffin_lim(num_iterations, momentum)

    def call(self, inputs):
        """Convert magnitude spectrograms (..., frames, bins) to waveforms (..., samples)."""
        return self._output(
            spectral.griffin_lim(
                inputs,
                **self.framing,
                length=self.length,
                num_iterations=self.num_iterations,
                momentum=self.momentum,
                seed=self.seed,
            )
        )

    def compute_output_shape(self, input_shape):
        """Return (..., samples)."""
        return self._waveform_shape(input_shape, self.length)

    def get_config(self):
        """Return the arguments of the layer."""
        names = ("num_iterations", "momentum", "length", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def in_type(values, dtype: str):
    """Cast float32 to the compute type of a layer; values out of range become the largest value of that type.

    Example:
        >>> float(in_type(tf.constant(1e6), "float16"))
        65504.0
    """
    # LiteRT has no saturating cast, and float32 needs none.
    return values if dtype == "float32" else tf.saturate_cast(values, dtype)

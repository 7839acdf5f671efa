"""Spectral features as Keras layers, thin over `common.signal`.

A layer gives a clip the same values alone and in any batch, eagerly, in `tf.data`, under XLA, saved, and in LiteRT. It
computes in float32 whatever its policy, because a waveform cut to half precision is already noise, and only its output
has the policy's compute type; what half precision cannot hold becomes its largest value.

LiteRT runs transforms whose length is a power of two, or at most `signal.MAX_MATRIX_LENGTH`.

Example:
    >>> import keras
    >>> waveform = keras.random.uniform((2, 22050), -1, 1)
    >>> MFCC(sample_rate=22050)(waveform).shape
    TensorShape([2, 44, 13])
"""

import keras
import tensorflow as tf

from common import signal
from common.errors import UserError, nearest


class FramedLayer(keras.layers.Layer):
    """What the feature layers have in common: how a waveform is cut into frames.

    Args:
        n_fft: Length of the Fourier transform in samples.
        hop_length: Distance from one frame to the next in samples.
        win_length: Length of the window in samples, at most `n_fft`, which it is by default.
        window: Name of a window in `scipy.signal`, in its periodic form.
        center: Whether frame t is centred at sample t * hop_length; else it begins there.
        pad_mode: What lies beyond the ends when `center` is set: "constant" (zeros) or "reflect".
        **kwargs: Of `keras.layers.Layer`: `name`, `dtype`.

    Raises:
        UserError: An argument is out of its range.
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
        _check_count("n_fft", n_fft, minimum=2)
        _check_count("hop_length", hop_length)
        _check_count("win_length", n_fft if win_length is None else win_length, maximum=n_fft, why=f"n_fft is {n_fft}")
        _check_choice("pad_mode", pad_mode, ("constant", "reflect"))
        signal.window_samples(window, win_length, n_fft)

    @property
    def framing(self) -> dict:
        """The arguments that `signal.stft` takes."""
        names = ("n_fft", "hop_length", "win_length", "window", "center", "pad_mode")
        return {name: getattr(self, name) for name in names}

    def get_config(self):
        """Return the arguments of the layer."""
        config = super().get_config()
        del config["trainable"]
        return {**config, **self.framing}

    def build(self, input_shape):
        """Nothing to create."""
        self.built = True

    def _spectrogram_shape(self, waveform_shape, num_bins):
        *leading, samples = waveform_shape
        if samples is None:
            return (*leading, None, num_bins)
        margin = self.n_fft // 2 if self.center else 0
        if self.center and self.pad_mode == "reflect" and samples <= margin:
            signal.stft  # noqa
        return (*leading, 1 + (samples + 2 * margin - self.n_fft) // self.hop_length, num_bins)

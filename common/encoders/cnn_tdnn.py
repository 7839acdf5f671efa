"""A two-dimensional front end, then residual convolutions over time alone."""

import keras
from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization

_FRONT_CHANNELS = (24, 32, 16)
_CHANNELS = 96
_KERNEL_SIZE = 5
# Of each residual block over time: its stride.
_STRIDES = (1, 2, 2)


def cnn_tdnn(inputs: KerasTensor, *, width: float = 1.0, dropout: float = 0.1) -> KerasTensor:
    """Encode a spectrogram with 2-D convolutions that see formants move, then with a time-delay network.

    The 2-D front end makes the network indifferent to small shifts in frequency, which is how speakers differ; after
    it the bins become channels, and convolutions over time alone cost a quarter of what the front end does. The idea is
    that of the CNN-TDNN of Thienpondt et al., "Integrating frequency translational invariance in TDNNs" (Interspeech
    2021, arXiv 2104.02370), at the size of a keyword spotter. On 101 frames of 40 bands, with ten labels, the model has
    331,682 trainable parameters and 333,730 in all; no convolution has a bias.

    Args:
        inputs: Features of shape (batch, frames, bins); the number of bins must be known.
        width: Multiplies the channels of the time-delay network.
        dropout: Rate at which a block drops whole channels between its convolutions, in [0, 1).

    Returns:
        Embedding of shape (batch, 96 * width).
    """
    first, second, last = _FRONT_CHANNELS
    # Bands differ in level by more than speech differs from silence.
    x = FusedBatchNormalization(momentum=0.95)(inputs)
    x = keras.ops.expand_dims(x, axis=3)
    x = layers.ReLU()(_convolution_2d(x, first, 5, strides=2))
    shortcut = x
    x = layers.ReLU()(_convolution_2d(x, first, 3))
    x = layers.ReLU()(layers.Add()([_convolution_2d(x, first, 3), shortcut]))
    x = layers.ReLU()(_convolution_2d(x, second, 3, strides=(1, 2)))
    x = layers.ReLU()(_convolution_2d(x, last, 1))
    x = layers.Reshape((-1, x.shape[2] * last))(x)
    x = layers.ReLU()(_convolution_1d(x, int(_CHANNELS * width), 1))
    for stride in _STRIDES:
        x = _block(x, int(_CHANNELS * width), stride, dropout)
    x = layers.GlobalAveragePooling1D()(x)
    return layers.Dropout(min(3 * dropout, 0.9))(x)


def _block(x: KerasTensor, channels: int, stride: int, dropout: float) -> KerasTensor:
    """Add two convolutions over time and the input."""
    shortcut = x if stride == 1 else _convolution_1d(x, channels, 1, strides=stride)
    x = layers.ReLU()(_convolution_1d(x, channels, _KERNEL_SIZE, strides=stride))
    x = layers.SpatialDropout1D(dropout)(x)
    x = _convolution_1d(x, channels, _KERNEL_SIZE)
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _convolution_2d(x: KerasTensor, channels: int, kernel_size: int, strides: int | tuple[int, int] = 1) -> KerasTensor:
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    return _normalization(layers.Conv2D(channels, kernel_size, strides=strides, **options)(x))


def _convolution_1d(x: KerasTensor, channels: int, kernel_size: int, strides: int = 1) -> KerasTensor:
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    return _normalization(layers.Conv1D(channels, kernel_size, strides=strides, **options)(x))


def _normalization(x: KerasTensor) -> KerasTensor:
    return FusedBatchNormalization(momentum=0.95)(x)

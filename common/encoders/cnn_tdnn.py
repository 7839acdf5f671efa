"""CNN-TDNN: a 2-D convolutional front end, followed by residual 1-D convolutions over time."""

import keras
from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization

_FRONT_CHANNELS = (24, 32, 16)
_CHANNELS = 96
_KERNEL_SIZE = 5
# Stride of each residual block over time.
_STRIDES = (1, 2, 2)


def cnn_tdnn(inputs: KerasTensor, *, width: float = 1.0, dropout: float = 0.1) -> KerasTensor:
    """Encode a spectrogram with a 2-D convolutional front end and a time-delay network.

    The 2-D front end makes the network robust to small shifts in frequency, such as those between speakers. The bins
    then become channels of 1-D convolutions over time, which take a quarter of the computation of the front end. The
    network follows the CNN-TDNN of Thienpondt et al., "Integrating frequency translational invariance in TDNNs"
    (Interspeech 2021, arXiv 2104.02370), in a size for keyword spotting. With 101 frames of 40 bands and ten labels,
    the model has 331,682 trainable parameters and 333,730 in all. No convolution has a bias.

    Args:
        inputs: Features of shape (batch, frames, bins); the number of bins must be static.
        width: Channel multiplier of the time-delay network.
        dropout: Rate of the spatial dropout between the convolutions of a block, in [0, 1); tripled, up to 0.9, before
            the head.

    Returns:
        Embedding of shape (batch, 96 * width).
    """
    first, second, last = _FRONT_CHANNELS
    # The levels of the bands differ more than speech and silence do.
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

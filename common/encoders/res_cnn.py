"""A plain residual CNN on log-mel."""

import keras
from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization

# Momentum of the moving statistics; low, since a run may have only a few hundred steps.
_MOMENTUM = 0.95
_CHANNELS = 24
# Width and stride of each stage.
_STAGES = ((1, 1), (2, 2), (3, 2))
_NUM_BLOCKS = 2


def res_cnn(inputs: KerasTensor, *, width: float = 1.0, dropout: float = 0.1) -> KerasTensor:
    """Encode a spectrogram with a convolution and six residual blocks, in three stages of 24, 48 and 72 channels.

    The block is that of He et al., "Deep residual learning for image recognition" (2016, arXiv 1512.03385). Strided
    shortcuts use average pooling (He et al., "Bag of tricks", 2019, arXiv 1812.01187). With ten labels the model has
    271,762 trainable parameters and 273,202 in all. No convolution has a bias.

    Args:
        inputs: Features of shape (batch, frames, bins).
        width: Channel multiplier.
        dropout: Rate of the spatial dropout between the convolutions of a block, in [0, 1); doubled before the head.

    Returns:
        Embedding of shape (batch, 72 * width).
    """
    x = keras.ops.expand_dims(inputs, axis=3)
    x = layers.ReLU()(_convolution(x, int(_CHANNELS * width), 5, strides=2))
    for multiple, stride in _STAGES:
        for block in range(_NUM_BLOCKS):
            x = _block(x, int(_CHANNELS * width * multiple), stride if block == 0 else 1, dropout)
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dropout(2 * dropout)(x)


def _block(x: KerasTensor, channels: int, stride: int, dropout: float) -> KerasTensor:
    """Add two convolutions and the input."""
    shortcut = x
    if stride > 1:
        shortcut = layers.AveragePooling2D(stride, padding="same")(shortcut)
    if x.shape[-1] != channels:
        shortcut = _convolution(shortcut, channels, 1)
    x = layers.ReLU()(_convolution(x, channels, 3, strides=stride))
    x = layers.SpatialDropout2D(dropout)(x)
    x = _convolution(x, channels, 3)
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _convolution(x: KerasTensor, channels: int, kernel_size: int, strides: int = 1) -> KerasTensor:
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    x = layers.Conv2D(channels, kernel_size, strides=strides, **options)(x)
    return FusedBatchNormalization(_MOMENTUM)(x)

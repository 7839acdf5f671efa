"""TC-ResNet8: temporal convolutions with the bins of the spectrogram as channels.

Choi et al., "Temporal convolution for real-time keyword spotting on mobile devices" (Interspeech 2019,
arXiv 1904.03814).
"""

from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization

# Momentum of the moving statistics; low, since a run may have only a few hundred steps.
_MOMENTUM = 0.95
_CHANNELS = (24, 32, 48)


def tc_resnet(inputs: KerasTensor, *, width: float = 1.0, dropout: float = 0.5) -> KerasTensor:
    """Encode a spectrogram with three residual blocks over time, each with a stride of two.

    With 40 bins and twelve labels the model has 65,836 parameters in all (paper: 66 k), 65,180 of them trainable; with
    a width of 1.5 it has 145,260 (paper: 145 k), 144,276 trainable. No convolution has a bias.

    Args:
        inputs: Features of shape (batch, frames, bins); the paper uses 98 frames of 40 MFCC.
        width: Channel multiplier; the paper uses 1 and 1.5.
        dropout: Dropout rate before the head, in [0, 1).

    Returns:
        Embedding of shape (batch, 48 * width).
    """
    x = layers.ReLU()(_convolution(inputs, int(16 * width), 3))
    for channels in _CHANNELS:
        x = _block(x, int(channels * width))
    x = layers.GlobalAveragePooling1D()(x)
    return layers.Dropout(dropout)(x)


def _block(x: KerasTensor, channels: int) -> KerasTensor:
    """Add two convolutions of nine frames and a shortcut, both with a stride of two."""
    # As in the original code, the shortcut has an activation too.
    shortcut = layers.ReLU()(_convolution(x, channels, 1, strides=2))
    x = layers.ReLU()(_convolution(x, channels, 9, strides=2))
    x = _convolution(x, channels, 9)
    return layers.ReLU()(layers.Add()([x, shortcut]))


def _convolution(x: KerasTensor, channels: int, kernel_size: int, strides: int = 1) -> KerasTensor:
    x = layers.Conv1D(channels, kernel_size, strides=strides, padding="same", use_bias=False)(x)
    return FusedBatchNormalization(_MOMENTUM)(x)

"""2-D CNNs of the speaker counting report, on spectrograms in decibels."""

import keras
from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization


def cnn_2d_1(inputs: KerasTensor, *, dropout: float = 0.2) -> KerasTensor:
    """Encode a spectrogram with one block; see `_cnn_2d`.

    With three labels the model has 483 trainable parameters. The dropout is not from the report.
    """
    return _cnn_2d(inputs, (32,), (dropout,))


def cnn_2d_2(inputs: KerasTensor, *, dropout: float = 0.2) -> KerasTensor:
    """Encode a spectrogram with two blocks; see `_cnn_2d`.

    With three labels the model has 9,795 trainable parameters. The second block has twice the dropout rate of the
    first.
    """
    return _cnn_2d(inputs, (32, 32), (dropout, 2 * dropout))


def cnn_2d_4(inputs: KerasTensor, *, dropout: float = 0.2) -> KerasTensor:
    """Encode a spectrogram with four blocks; see `_cnn_2d`.

    With three labels the model has 65,571 trainable parameters. As in the report, three blocks have dropout. The report
    does not specify which ones; here it is the last three, and the last two have twice the rate.
    """
    return _cnn_2d(inputs, (32, 32, 64, 64), (0.0, dropout, 2 * dropout, 2 * dropout))


def _cnn_2d(inputs: KerasTensor, filters: tuple[int, ...], dropouts: tuple[float, ...]) -> KerasTensor:
    """Stack blocks of convolution, normalisation, max-pooling and dropout, followed by a global average.

    Args:
        inputs: Spectrogram in decibels of shape (batch, frames, bins).
        filters: Number of filters of each block.
        dropouts: Dropout rate at the end of each block, in [0, 1).

    Returns:
        Embedding of shape (batch, filters of the last block).
    """
    x = keras.ops.expand_dims(inputs, axis=3)
    for channels, dropout in zip(filters, dropouts, strict=True):
        x = layers.Conv2D(channels, 3, padding="same")(x)
        x = layers.ReLU()(FusedBatchNormalization()(x))
        x = layers.MaxPooling2D(2, padding="same")(x)
        x = layers.Dropout(dropout)(x)
    return layers.GlobalAveragePooling2D()(x)

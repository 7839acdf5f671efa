"""Recurrent networks: CRNN, LSTM and TF-LSTM.

The layers are not unrolled, neither in training nor in exports. Unrolled, two LSTMs over 101 frames take four times as
long to start, train at 0.7 times the speed and increase the LiteRT file by half.
"""

import keras
from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization

# Momentum of the moving statistics; low, since a run may have only a few hundred steps.
_MOMENTUM = 0.95
_WINDOW_BINS = 8
_HOP_BINS = 4


def crnn(inputs: KerasTensor, *, dropout: float = 0.1) -> KerasTensor:
    """Encode a spectrogram with two convolutions and a recurrent layer over time.

    Arik et al., "Convolutional recurrent neural networks for small-footprint keyword spotting" (Interspeech 2017,
    arXiv 1703.05390), in the sizes of Rybakov et al. (arXiv 2005.06720). With 20 MFCC and twelve labels the model has
    467,812 trainable parameters; all layers have biases. 40 of the parameters are in the normalisation of the inputs,
    which is not in the paper but necessary for decibels.

    Args:
        inputs: Features of shape (batch, frames, bins), at least 7 frames of 5 bins; Rybakov et al. use 49 frames of 20
            MFCC, 40 ms every 20 ms. Both sizes must be static.
        dropout: Dropout rate after the recurrent layer, in [0, 1).

    Returns:
        Embedding of shape (batch, 256).
    """
    x = layers.Reshape((*inputs.shape[1:], 1))(FusedBatchNormalization(_MOMENTUM)(inputs))
    for kernel_size in ((3, 3), (5, 3)):
        x = layers.Conv2D(16, kernel_size, activation="relu")(x)
    x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
    x = layers.GRU(256)(x)
    x = layers.Dropout(dropout)(x)
    x = layers.Dense(128)(x)
    return layers.Dense(256, activation="relu")(x)


def lstm(inputs: KerasTensor, *, dropout: float = 0.2) -> KerasTensor:
    """Encode a spectrogram with two LSTM layers over time and an average over the frames.

    With 40 bins and twelve labels the model has 219,740 trainable parameters. Hochreiter and Schmidhuber, "Long
    short-term memory" (1997); the sizes are not from a publication.

    Args:
        inputs: Features of shape (batch, frames, bins).
        dropout: Dropout rate after each layer, in [0, 1).

    Returns:
        Embedding of shape (batch, 128).
    """
    return _over_time(FusedBatchNormalization(_MOMENTUM)(inputs), 2, dropout)


def tf_lstm(inputs: KerasTensor, *, dropout: float = 0.2) -> KerasTensor:
    """Encode a spectrogram with an LSTM over the frequencies of each frame, followed by an LSTM over time.

    Li et al., "LSTM time and frequency recurrence for automatic speech recognition" (ASRU 2015). The steps of the first
    LSTM are overlapping windows of bins. Its outputs of all steps, concatenated, are the input of the second LSTM. With
    40 bins and twelve labels the model has 181,436 trainable parameters.

    Args:
        inputs: Features of shape (batch, frames, bins), at least 8 bins. Both sizes must be static.
        dropout: Dropout rate after the layer over time, in [0, 1).

    Returns:
        Embedding of shape (batch, 128).
    """
    frames, bins = inputs.shape[1:]
    x = FusedBatchNormalization(_MOMENTUM)(inputs)
    starts = range(0, bins - _WINDOW_BINS + 1, _HOP_BINS)
    windows = keras.ops.stack([x[:, :, start : start + _WINDOW_BINS] for start in starts], axis=2)
    # Frames are treated as examples, so that all are processed at once.
    x = keras.ops.reshape(windows, (-1, len(starts), _WINDOW_BINS))
    x = layers.LSTM(24, return_sequences=True)(x)
    x = keras.ops.reshape(x, (-1, frames, len(starts) * 24))
    return _over_time(x, 1, dropout)


def _over_time(x: KerasTensor, num_layers: int, dropout: float) -> KerasTensor:
    for _ in range(num_layers):
        x = layers.Dropout(dropout)(layers.LSTM(128, return_sequences=True)(x))
    return layers.GlobalAveragePooling1D()(x)

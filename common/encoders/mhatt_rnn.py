"""MHAtt-RNN: a bidirectional recurrent network with multi-head attention, queried by the middle frame.

Rybakov et al., "Streaming keyword spotting on mobile devices" (Interspeech 2020, arXiv 2005.06720).
"""

import keras
from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization

# Momentum of the moving statistics; low, since a run may have only a few hundred steps.
_MOMENTUM = 0.95
_UNITS = 128
_NUM_HEADS = 4


def mhatt_rnn(inputs: KerasTensor, *, dropout: float = 0.2) -> KerasTensor:
    """Encode a spectrogram with two convolutions over time, two recurrent layers and four attention heads.

    With 20 MFCC and twelve labels, as in the paper, the model has 743,025 trainable parameters (paper: 743 k) and
    743,047 in all. The head has 64 and 32 units, and all layers have biases. With 40 bins there are 15,360 more
    parameters.

    Args:
        inputs: Features of shape (batch, frames, bins); the paper uses 49 frames of 20 MFCC, 40 ms every 20 ms. Both
            sizes must be static.
        dropout: Dropout rate after the attention, in [0, 1).

    Returns:
        Embedding of shape (batch, 32).
    """
    x = layers.Reshape((*inputs.shape[1:], 1))(inputs)
    for filters in (10, 1):
        x = layers.Conv2D(filters, (5, 1), padding="same", activation="relu")(x)
        x = FusedBatchNormalization(_MOMENTUM)(x)
    x = layers.Reshape(inputs.shape[1:])(x)
    for _ in range(2):
        x = layers.Bidirectional(layers.GRU(_UNITS, return_sequences=True))(x)
    middle = x[:, x.shape[1] // 2]
    heads = []
    for _ in range(_NUM_HEADS):
        query = layers.Dense(2 * _UNITS)(middle)
        weights = layers.Softmax()(layers.Dot(axes=(1, 2))([query, x]))
        heads.append(layers.Dot(axes=(1, 1))([weights, x]))
    x = layers.Dropout(dropout)(keras.ops.concatenate(heads, axis=-1))
    x = layers.Dense(64, activation="relu")(x)
    return layers.Dense(32)(x)

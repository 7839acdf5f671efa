"""CountNet: convolutions and a recurrent layer for counting concurrent speakers.

The CRNN of Stöter et al., "CountNet: estimating the number of concurrent speakers using supervised learning" (IEEE/ACM
Transactions on Audio, Speech, and Language Processing, 2019).
"""

import keras
from keras import KerasTensor, layers

# Smallest input for which two steps in time and one in frequency remain after two stages of two convolutions and
# pooling.
_LEAST_FRAMES, _LEAST_BINS = 34, 25


def countnet(inputs: KerasTensor, *, dropout: float = 0.5) -> KerasTensor:
    """Encode a spectrogram with four convolutions and an LSTM over time; the outputs of all steps are used.

    With 500 frames of 201 bins, as in the paper, and the eleven labels 0 to 10, the model has 352,699 parameters, all
    of them trainable.

    Args:
        inputs: Standardised magnitudes of shape (batch, frames, bins), at least 34 frames of 25 bins; the paper uses 5
            s at 16 kHz, 25 ms every 10 ms. Both sizes must be static, because the map is flattened.
        dropout: Dropout rate before the LSTM, in [0, 1).

    Returns:
        Embedding of shape (batch, 40 * steps) with about frames / 18 steps, e.g. 26 for 500 frames.

    Raises:
        ValueError: There are too few frames or bins, or their number is not static.
    """
    frames, bins = inputs.shape[1:]
    if frames is None or bins is None or frames < _LEAST_FRAMES or bins < _LEAST_BINS:
        raise ValueError(
            f"CountNet needs at least {_LEAST_FRAMES} frames of {_LEAST_BINS} bins, both static; "
            f"received {frames} of {bins}"
        )
    x = keras.ops.expand_dims(inputs, axis=3)
    for filters in ((64, 32), (128, 64)):
        for channels in filters:
            x = layers.Conv2D(channels, 3, activation="relu")(x)
        x = layers.MaxPooling2D(3)(x)
    x = layers.Dropout(dropout)(x)
    x = layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)
    x = layers.LSTM(40, return_sequences=True)(x)
    x = layers.MaxPooling1D(2)(x)
    return layers.Flatten()(x)

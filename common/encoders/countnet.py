"""CountNet: convolutions and a recurrent layer that count concurrent speakers.

Stöter et al., "CountNet: estimating the number of concurrent speakers using supervised learning" (IEEE/ACM Transactions
on Audio, Speech, and Language Processing, 2019), the CRNN.
"""

import keras
from keras import KerasTensor, layers

# Two poolings by 3, of what two convolutions leave each time, must leave two steps in time and one in frequency.
_LEAST_FRAMES, _LEAST_BINS = 34, 25


def countnet(inputs: KerasTensor, *, dropout: float = 0.5) -> KerasTensor:
    """Encode a spectrogram with four convolutions and an LSTM over time, whose outputs are all kept.

    On the paper's 500 frames of 201 bins, with the eleven labels 0 to 10, the model has 352,699 parameters, all of them
    trainable.

    Args:
        inputs: Magnitudes of shape (batch, frames, bins), standardised, at least 34 frames of 25 bins; the paper takes
            5 s at 16 kHz, 25 ms every 10 ms. Both sizes must be known, because the map is flattened.
        dropout: Rate before the LSTM, in [0, 1).

    Returns:
        Embedding of shape (batch, 40 * steps), where the steps are about frames / 18: 26 of 500 frames.

    Raises:
        ValueError: There are too few frames or bins, or their number is not known.
    """
    frames, bins = inputs.shape[1:]
    if frames is None or bins is None or frames < _LEAST_FRAMES or bins < _LEAST_BINS:
        raise ValueError(
            f"CountNet needs at least {_LEAST_FRAMES} frames of {_LEAST_BINS} bins, both known; "
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

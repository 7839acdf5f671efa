"""The 2-D CNN of the keyword spotting report."""

from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization


def report_cnn(inputs: KerasTensor, *, dropout: float = 0.3) -> KerasTensor:
    """Encode a spectrogram with three convolutions and a dense layer.

    With the features of the report, 44 frames of 13 MFCC, and ten labels, the model has 34,698 parameters, 34,442 of
    them trainable.

    Args:
        inputs: Features of shape (batch, frames, bins); both sizes must be static, because the map is flattened.
        dropout: Dropout rate before the head, in [0, 1).

    Returns:
        Embedding of shape (batch, 64).
    """
    x = layers.Reshape((*inputs.shape[1:], 1))(inputs)
    for filters, kernel_size, pool_size in ((64, 3, 3), (32, 3, 3), (32, 2, 2)):
        x = layers.Conv2D(filters, kernel_size, activation="relu")(x)
        x = FusedBatchNormalization()(x)
        x = layers.MaxPooling2D(pool_size, strides=2, padding="same")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu")(x)
    return layers.Dropout(dropout)(x)

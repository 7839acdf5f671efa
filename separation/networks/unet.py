"""The U-Net of Jansson et al. that Spleeter uses too: strided 5×5 convolutions down, transposed ones up, and skips.

A. Jansson et al., "Singing voice separation with deep U-Net convolutional networks", ISMIR 2017; R. Hennequin et al.,
"Spleeter: a fast and efficient music source separation tool with pre-trained models", JOSS 2020.
"""

import keras
from keras import layers

from common.encoders.normalization import FusedBatchNormalization
from separation.config import Config

_KERNEL = 5
_DROPPED_LEVELS = 3


def unet(config: Config, features: keras.KerasTensor, num_answers: int) -> keras.KerasTensor:
    """Build the U-Net: `depth` levels of `width`, 2 `width`, 4 `width` … channels.

    With six levels of 16 channels, one channel in and one out, it has 9,826,321 parameters in all, moving statistics
    included.

    Args:
        config: Gives `depth`, `width` and `dropout`, which stands behind the first three levels upwards.
        features: Shape `(batch, frames, bins, features)`.
        num_answers: Number of values for each frame and bin.

    Returns:
        Shape `(batch, frames, bins, num_answers)`.
    """
    x, skips = features, []
    for index in range(config.depth):
        x = layers.Conv2D(config.width * 2**index, _KERNEL, 2, padding="same", name=f"down_{index}")(x)
        x = FusedBatchNormalization(name=f"down_{index}_bn")(x)
        x = layers.LeakyReLU(0.2, name=f"down_{index}_relu")(x)
        skips.append(x)
    skips.pop()
    for index in reversed(range(1, config.depth)):
        x = layers.Conv2DTranspose(config.width * 2 ** (index - 1), _KERNEL, 2, padding="same", name=f"up_{index}")(x)
        x = FusedBatchNormalization(name=f"up_{index}_bn")(x)
        x = layers.ReLU(name=f"up_{index}_relu")(x)
        if config.dropout and index >= config.depth - _DROPPED_LEVELS:
            x = layers.Dropout(config.dropout, name=f"up_{index}_dropout")(x)
        x = layers.Concatenate(name=f"up_{index}_skip")([x, skips.pop()])
    return layers.Conv2DTranspose(num_answers, _KERNEL, 2, padding="same", name="up_0")(x)

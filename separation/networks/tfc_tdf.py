"""TFC-TDF: a small U-Net of time-frequency convolutions and of dense layers over the frequencies of a frame.

W. Choi et al., "Investigating U-Nets with various intermediate blocks for spectrogram-based singing voice separation",
ISMIR 2020; M. Kim et al., "Sound demixing challenge 2023: TFC-TDF-UNet v3" (arXiv 2306.09382). The subbands as channels
and the order of layers in a block are those of v3. Batch normalisation replaces instance normalisation, because its
statistics are fixed at inference and cost nothing.
"""

import keras
from keras import layers

from common.encoders.normalization import FusedBatchNormalization
from separation.config import Config
from separation.layers import FrequencyDense


def tfc_tdf(config: Config, features: keras.KerasTensor, num_answers: int) -> keras.KerasTensor:
    """Build the network: `depth` levels of `width`, `width + growth`, `width + 2 growth` … channels.

    Args:
        config: Gives `depth`, `width`, `growth`, `blocks`, `subbands`, `bottleneck` and `dropout`.
        features: Shape `(batch, frames, bins, features)`.
        num_answers: Number of output channels, i.e. values per frame and bin.

    Returns:
        Shape `(batch, frames, bins, num_answers)`.
    """
    _, frames, bins, num_features = features.shape
    bands = config.subbands
    x = layers.Reshape((frames, bands, bins // bands, num_features), name="bands")(features)
    x = layers.Permute((1, 3, 2, 4), name="bands_last")(x)
    folded = layers.Reshape((frames, bins // bands, bands * num_features), name="folded")(x)
    x = layers.Conv2D(config.width, 1, use_bias=False, name="stem")(folded)
    first, skips = x, []
    for index in range(config.depth):
        width = config.width + index * config.growth
        x = _blocks(config, x, width, f"down_{index}")
        skips.append(x)
        x = _activated(x, f"down_{index}_half")
        x = layers.Conv2D(width + config.growth, 2, 2, use_bias=False, name=f"down_{index}_half")(x)
    x = _blocks(config, x, config.width + config.depth * config.growth, "middle")
    if config.dropout:
        x = layers.SpatialDropout2D(config.dropout, name="dropout")(x)
    for index in reversed(range(config.depth)):
        width = config.width + index * config.growth
        x = _activated(x, f"up_{index}_double")
        x = layers.Conv2DTranspose(width, 2, 2, use_bias=False, name=f"up_{index}_double")(x)
        x = layers.Concatenate(name=f"up_{index}_skip")([x, skips.pop()])
        x = _blocks(config, x, width, f"up_{index}")
    x = layers.Multiply(name="gated")([x, first])
    x = layers.Concatenate(name="with_mixture")([folded, x])
    x = layers.Conv2D(config.width, 1, use_bias=False, name="head")(x)
    x = layers.Activation("gelu", name="head_gelu")(x)
    # Masks start close to 0. With the default initialisation the estimates would be far too loud.
    small = keras.initializers.RandomNormal(stddev=0.01)
    x = layers.Conv2D(bands * num_answers, 1, kernel_initializer=small, name="answers")(x)
    x = layers.Reshape((frames, bins // bands, bands, num_answers), name="answers_by_band")(x)
    x = layers.Permute((1, 3, 2, 4), name="bands_first")(x)
    return layers.Reshape((frames, bins, num_answers), name="unfolded")(x)


def _blocks(config: Config, x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    for index in range(config.blocks):
        x = _block(config, x, width, f"{name}_{index}")
    return x


def _block(config: Config, x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """Convolution, dense layers over frequency, convolution, and a residual connection around them."""
    shortcut = x if x.shape[-1] == width else layers.Conv2D(width, 1, use_bias=False, name=f"{name}_shortcut")(x)
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_tfc_0")(_activated(x, f"{name}_tfc_0"))
    bins = x.shape[2]
    hidden = max(1, bins // config.bottleneck)
    y = FrequencyDense(hidden, name=f"{name}_tdf_0")(_activated(x, f"{name}_tdf_0"))
    y = FrequencyDense(bins, name=f"{name}_tdf_1")(_activated(y, f"{name}_tdf_1"))
    x = layers.Add(name=f"{name}_tdf")([x, y])
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}_tfc_1")(_activated(x, f"{name}_tfc_1"))
    return layers.Add(name=f"{name}_out")([x, shortcut])


def _activated(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(name=f"{name}_relu")(FusedBatchNormalization(name=f"{name}_bn")(x))

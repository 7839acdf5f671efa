"""A generator and a discriminator for spectrograms at full size, designed for stable training on a CPU.

The generator is convolutional along time: each step of noise gives 32 frames, so pieces of any length have no joins.
Nearest-neighbour upsampling before convolutions avoids checkerboard artifacts (A. Odena et al., "Deconvolution and
checkerboard artifacts", Distill 2016). Pixel normalisation and the standard deviation over the batch are from T. Karras
et al., "Progressive growing of GANs", ICLR 2018 (arXiv 1710.10196), spectral normalisation from T. Miyato et al., ICLR
2018 (arXiv 1802.05957).
"""

import keras
from keras import layers

from generation.config import Config
from generation.layers import BatchDeviation, DepthToSpace, PixelNormalization, SpectralConv2D
from generation.noise import FRAMES_PER_STEP, MARGIN_STEPS

# Channels of each level as multiples of `width`, from the coarsest level to the finest.
_WIDTHS = (8, 6, 4, 2, 1)
_DISCRIMINATOR_WIDTHS = (1, 2, 4, 6, 8)
_SLOPE = 0.2
_NOISE_CHANNELS = 4


def generator(config: Config) -> keras.Model:
    """Build the generator: noise `(batch, steps, noise_dim)` to spectrograms `(batch, frames, bands, 1)` in [-1, 1].

    The output has 32 frames per step, without the first and the last step.
    """
    noise = keras.Input((None, config.noise_dim), name="noise")
    first_bands = config.bands // FRAMES_PER_STEP
    channels = config.width * _WIDTHS[0]
    x = layers.Dense(first_bands * channels, kernel_initializer="he_normal", name="start")(noise)
    x = layers.Reshape((-1, first_bands, channels), name="start_picture")(x)
    style = noise[:, 0, : config.style_dim] if config.style_dim else None
    x = _activated(x, "start")
    for index, width in enumerate(_WIDTHS):
        if index:
            x = layers.UpSampling2D(2, name=f"up_{index}")(x)
            x = layers.Concatenate(name=f"with_noise_{index}")([x, _noise_at(noise, index, first_bands * 2**index)])
        for number in range(2):
            x = layers.Conv2D(
                config.width * width, 3, padding="same", kernel_initializer="he_normal", name=f"level_{index}_{number}"
            )(x)
            x = _styled(_activated(x, f"level_{index}_{number}"), style, f"level_{index}_{number}")
    # The last upsampling uses depth-to-space, which costs a quarter of two more convolutions at full size.
    x = layers.Conv2D(4, 3, padding="same", name="picture")(x)
    x = DepthToSpace(2, name="picture_doubled")(x)
    margin = MARGIN_STEPS * FRAMES_PER_STEP
    x = layers.Cropping2D(((margin, margin), (0, 0)), name="without_margin")(x)
    return keras.Model(noise, layers.Activation("tanh", dtype="float32", name="spectrogram")(x), name="generator")


def _styled(x: keras.KerasTensor, style: keras.KerasTensor | None, name: str) -> keras.KerasTensor:
    """Scale and shift every channel by a function of the style (FiLM).

    E. Perez et al., "FiLM: visual reasoning with a general conditioning layer", AAAI 2018 (arXiv 1709.07871).
    """
    if style is None:
        return x
    channels = x.shape[-1]
    scale, shift = (
        layers.Reshape((1, 1, channels), name=f"{name}_{part}_wide")(
            layers.Dense(channels, name=f"{name}_{part}")(style)
        )
        for part in ("scale", "shift")
    )
    scaled = layers.Multiply(name=f"{name}_scaled")([x, scale])
    return layers.Add(name=f"{name}_styled")([x, scaled, shift])


def _noise_at(noise: keras.KerasTensor, level: int, bands: int) -> keras.KerasTensor:
    """Project each step of noise to the size of a level, so that every level gets noise directly.

    Similar to the hierarchical noise of A. Brock et al., "Large scale GAN training for high fidelity natural image
    synthesis", ICLR 2019 (arXiv 1809.11096).
    """
    values = layers.Dense(2**level * bands * _NOISE_CHANNELS, name=f"noise_{level}")(noise)
    return layers.Reshape((-1, bands, _NOISE_CHANNELS), name=f"noise_{level}_picture")(values)


def discriminator(config: Config) -> keras.Model:
    """Build the discriminator: spectrograms `(batch, frames, bands, 1)` to one logit `(batch, 1)`."""
    picture = keras.Input((*config.judged_size, 1), name="spectrogram")
    x = picture
    for index, width in enumerate(_DISCRIMINATOR_WIDTHS):
        x = _convolution(config, config.width * width, 4, 2, f"down_{index}")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"down_{index}_relu")(x)
    x = BatchDeviation(name="deviation")(x)
    x = _convolution(config, config.width * _DISCRIMINATOR_WIDTHS[-1], 3, 1, "last")(x)
    x = layers.LeakyReLU(_SLOPE, name="last_relu")(x)
    x = _convolution(config, 1, 1, 1, "judgements")(x)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="logit")(x)
    return keras.Model(picture, x, name="discriminator")


def _convolution(config: Config, filters: int, kernel_size: int, strides: int, name: str) -> layers.Layer:
    if config.spectral_norm:
        return SpectralConv2D(filters, kernel_size, strides, name=name)
    return layers.Conv2D(filters, kernel_size, strides, "same", kernel_initializer="he_normal", name=name)


def _activated(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return PixelNormalization(name=f"{name}_norm")(layers.LeakyReLU(_SLOPE, name=f"{name}_relu")(x))

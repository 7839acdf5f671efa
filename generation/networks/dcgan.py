"""The networks of the student report: a DCGAN for 32×32 spectrograms.

Based on A. Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial
networks", ICLR 2016 (arXiv 1511.06434), with the layer order and sizes of the report.
"""

import keras
from keras import layers

from common.encoders.normalization import FusedBatchNormalization
from generation.config import Config

_GENERATOR_CHANNELS = (512, 256, 128)
_DISCRIMINATOR_CHANNELS = (64, 128, 256)
_NORMALIZED = 2
_SLOPE = 0.2
# Batch normalisation of PyTorch; its momentum of 0.1 is 0.9 in Keras.
_MOMENTUM, _EPSILON = 0.9, 1e-5


def generator(config: Config) -> keras.Model:
    """Build the generator: noise `(batch, 1, noise_dim)` to spectrograms `(batch, 32, 32, 1)` in [-1, 1].

    Transposed 4×4 convolutions: 512 channels at 4×4, 256 at 8×8, 128 at 16×16, one at 32×32. ReLU follows all but the
    last, which has tanh; batch normalisation follows the first two.
    """
    noise = keras.Input((1, config.noise_dim), name="noise")
    x = layers.Reshape((1, 1, config.noise_dim), name="start")(noise)
    for index, channels in enumerate(_GENERATOR_CHANNELS):
        options = {"strides": 2, "padding": "same"} if index else {"padding": "valid"}
        x = layers.Conv2DTranspose(channels, 4, name=f"up_{index}", **options)(x)
        if index < _NORMALIZED:
            x = FusedBatchNormalization(_MOMENTUM, _EPSILON, name=f"up_{index}_bn")(x)
        x = layers.ReLU(name=f"up_{index}_relu")(x)
    x = layers.Conv2DTranspose(1, 4, strides=2, padding="same", name="picture")(x)
    return keras.Model(noise, layers.Activation("tanh", dtype="float32", name="spectrogram")(x), name="generator")


def discriminator(config: Config) -> keras.Model:
    """Build the discriminator: spectrograms `(batch, frames, bands, 1)` of any size to one logit `(batch, 1)`."""
    picture = keras.Input((*config.judged_size, 1), name="spectrogram")
    x = picture
    for index, channels in enumerate(_DISCRIMINATOR_CHANNELS):
        x = layers.Conv2D(channels, 4, strides=2, padding="same", name=f"down_{index}")(x)
        if index:
            x = FusedBatchNormalization(_MOMENTUM, _EPSILON, name=f"down_{index}_bn")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"down_{index}_relu")(x)
    x = layers.Conv2D(1, 4, padding="same", name="judgements")(x)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="logit")(x)
    return keras.Model(picture, x, name="discriminator")

"""SpecGAN for 128×128 spectrograms: C. Donahue et al., "Adversarial audio synthesis", ICLR 2019 (arXiv 1802.04208)."""

import keras
from keras import layers

from generation.config import Config

_CHANNELS = (1024, 512, 256, 128, 64)
_SIDE, _KERNEL = 4, 5
_SLOPE = 0.2


def generator(config: Config) -> keras.Model:
    """Build the generator: noise `(batch, 1, noise_dim)` to spectrograms `(batch, 128, 128, 1)` in [-1, 1]."""
    noise = keras.Input((1, config.noise_dim), name="noise")
    x = layers.Dense(_SIDE * _SIDE * _CHANNELS[0], name="start")(noise)
    x = layers.Reshape((_SIDE, _SIDE, _CHANNELS[0]), name="start_picture")(x)
    for index, channels in enumerate((*_CHANNELS[1:], 1)):
        x = layers.ReLU(name=f"up_{index}_relu")(x)
        x = layers.Conv2DTranspose(channels, _KERNEL, strides=2, padding="same", name=f"up_{index}")(x)
    return keras.Model(noise, layers.Activation("tanh", dtype="float32", name="spectrogram")(x), name="generator")


def discriminator(config: Config) -> keras.Model:
    """Build the discriminator: spectrograms `(batch, 128, 128, 1)` to one logit `(batch, 1)`."""
    picture = keras.Input((*config.judged_size, 1), name="spectrogram")
    x = picture
    for index, channels in enumerate(reversed(_CHANNELS)):
        x = layers.Conv2D(channels, _KERNEL, strides=2, padding="same", name=f"down_{index}")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"down_{index}_relu")(x)
    x = layers.Flatten(name="flat")(x)
    return keras.Model(picture, layers.Dense(1, dtype="float32", name="logit")(x), name="discriminator")

"""The U-Net of Jansson et al. and Spleeter: strided 5×5 convolutions down, transposed ones up, and skip connections.

A. Jansson et al., "Singing voice separation with deep U-Net convolutional networks", ISMIR 2017; R. Hennequin et al.,
"Spleeter: a fast and efficient music source separation tool with pre-trained models", JOSS 2020.
"""

import keras
import tensorflow as tf
from keras import layers

from common.encoders.normalization import FusedBatchNormalization
from separation.config import Config

_KERNEL = 5
_DROPPED_LEVELS = 3


def unet(config: Config, features: keras.KerasTensor, num_answers: int) -> keras.KerasTensor:
    """Build the U-Net: `depth` levels of `width`, 2 `width`, 4 `width` … channels.

    With `depth=6`, `width=16`, one input channel and one output channel, it has 9,826,321 parameters, including the
    moving statistics of batch normalisation.

    Args:
        config: Gives `depth`, `width` and `dropout`; dropout follows the first three levels of the decoder.
        features: Shape `(batch, frames, bins, features)`.
        num_answers: Number of output channels, i.e. values per frame and bin.

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
    return FoldedConv2DTranspose(num_answers, name="up_0")(x)


@keras.saving.register_keras_serializable(package="quartet")
class FoldedConv2DTranspose(layers.Conv2DTranspose):
    """`Conv2DTranspose(filters, 5, strides=2, padding="same")`, computed as an ordinary convolution.

    Each of the four outputs of an input position depends on at most 3×3 inputs, so one 3×3 convolution computes all
    four as channels. With few filters this takes half the time: a transposed convolution leaves vector units idle.

    Args:
        filters: Number of output channels.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, filters: int, **kwargs):
        super().__init__(filters, _KERNEL, strides=2, padding="same", **kwargs)

    def call(self, inputs):
        """Convolve, and rearrange the four outputs of each position in space."""
        if inputs.shape[0] == 0:
            # In TensorFlow 2.21 the convolution of an empty batch has the wrong shape.
            return tf.zeros(self.compute_output_shape(inputs.shape), inputs.dtype)
        kernel = tf.pad(tf.convert_to_tensor(self.kernel), [[0, 1], [0, 1], [0, 0], [0, 0]])
        # Output 2i + a is the sum of input i + d times tap a + 1 - 2d; missing taps are the zeros at index 5.
        taps = [[tap if 0 <= tap < _KERNEL else _KERNEL for tap in (a + 3, a + 1, a - 1)] for a in (0, 1)]
        phases = [tf.gather(tf.gather(kernel, taps[a], axis=0), taps[b], axis=1) for a in (0, 1) for b in (0, 1)]
        folded = tf.transpose(tf.stack(phases, axis=2), [0, 1, 4, 2, 3])
        folded = tf.reshape(folded, [3, 3, self.kernel.shape[3], 4 * self.filters])
        # Add the bias before the rearrangement: TensorFlow fuses it with the convolution.
        bias = tf.tile(tf.convert_to_tensor(self.bias), [4])
        outputs = tf.nn.conv2d(inputs, tf.cast(folded, inputs.dtype), 1, "SAME")
        outputs = tf.nn.bias_add(outputs, tf.cast(bias, outputs.dtype))
        return tf.nn.depth_to_space(outputs, 2)

    def get_config(self):
        """Return the arguments of the layer."""
        config = super().get_config()
        return {name: config[name] for name in ("name", "trainable", "dtype", "filters") if name in config}

"""DS-CNN: depthwise separable convolutions on a few cepstral coefficients, small enough for a microcontroller.

Zhang et al., "Hello Edge: keyword spotting on microcontrollers" (2017, arXiv 1711.07128), size S.
"""

import keras
from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization

# Momentum of the moving statistics; low, since a run may have only a few hundred steps.
_MOMENTUM = 0.95
_FILTERS = 64
_NUM_BLOCKS = 4


def ds_cnn(inputs: KerasTensor, *, dropout: float = 0.2) -> KerasTensor:
    """Encode a spectrogram with one convolution and four depthwise separable ones.

    With twelve labels the model has 23,756 trainable parameters and 24,908 in all. Every convolution has a bias, as in
    the reference model of MLPerf Tiny, although a normalisation follows it.

    Args:
        inputs: Features of shape (batch, frames, bins); the paper uses 49 frames of 10 MFCC, 40 ms every 20 ms.
        dropout: Dropout rate before the head, in [0, 1).

    Returns:
        Embedding of shape (batch, 64).
    """
    x = keras.ops.expand_dims(inputs, axis=3)
    x = _activate(layers.Conv2D(_FILTERS, (10, 4), strides=2, padding="same")(x))
    # Keras computes the fan of a depthwise kernel from all channels, although it has one; its default initial values
    # would be 8 times too small.
    initializer = keras.initializers.RandomUniform(-1 / 3, 1 / 3)
    for _ in range(_NUM_BLOCKS):
        x = _activate(layers.DepthwiseConv2D(3, padding="same", depthwise_initializer=initializer)(x))
        x = _activate(layers.Conv2D(_FILTERS, 1)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dropout(dropout)(x)


def _activate(x: KerasTensor) -> KerasTensor:
    return layers.ReLU()(FusedBatchNormalization(_MOMENTUM)(x))

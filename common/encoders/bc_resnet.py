"""BC-ResNet: small residual blocks that work mostly on the mean over frequency and broadcast the result.

Kim et al., "Broadcasted residual learning for efficient keyword spotting" (Interspeech 2021, arXiv 2106.04140).
"""

import math

import keras
from keras import KerasTensor, layers

from common.encoders.normalization import FusedBatchNormalization, SubSpectralNormalization

_NUM_BANDS = 5
# Width, number of blocks, stride in frequency and dilation in time of each stage.
_STAGES = ((1, 2, 1, 1), (1.5, 2, 2, 2), (2, 4, 2, 4), (2.5, 4, 1, 8))


def bc_resnet(inputs: KerasTensor, *, tau: float = 1.0, dropout: float = 0.1) -> KerasTensor:
    """Encode a log-mel spectrogram with a BC-ResNet.

    With twelve labels the model has 9,232 trainable parameters for tau = 1 and 321,068 for tau = 8.

    Args:
        inputs: Log-mel spectrogram of shape (batch, frames, bins); the number of bins is a multiple of 40.
        tau: Width factor; the paper uses 1, 1.5, 2, 3, 6 and 8.
        dropout: Rate of the spatial dropout in the temporal branch of a block, in [0, 1).

    Returns:
        Embedding of shape (batch, 32 * tau).

    Raises:
        ValueError: The number of bins is not a multiple of 40.
    """
    bins = inputs.shape[2]
    if bins is None or bins % 40:
        raise ValueError(f"BC-ResNet needs a multiple of 40 bins, for three halvings and five bands; received {bins}")
    base = 8 * tau
    x = keras.ops.expand_dims(inputs, axis=3)
    # Symmetric padding, as in the original code; "same" padding of TensorFlow would shift a strided map.
    x = layers.ZeroPadding2D(2)(x)
    x = _convolution(x, int(2 * base), 5, strides=(1, 2))
    x = layers.ReLU()(_normalization(x))
    for width, num_blocks, stride, dilation in _STAGES:
        for block in range(num_blocks):
            x = _block(x, int(width * base), stride if block == 0 else 1, dilation, dropout)
    x = layers.ZeroPadding2D((2, 0))(x)
    x = _depthwise(x, (5, 5), padding="valid")
    x = _convolution(x, int(4 * base), 1)
    x = layers.ReLU()(_normalization(x))
    return layers.GlobalAveragePooling2D()(x)


def _block(x: KerasTensor, channels: int, stride: int, dilation: int, dropout: float) -> KerasTensor:
    """Add a convolution over frequency, a temporal branch that is broadcast over frequency, and the input."""
    shortcut = x
    is_transition = x.shape[-1] != channels
    if is_transition:
        x = _convolution(x, channels, 1)
        x = layers.ReLU()(_normalization(x))
    x = _depthwise(x, (1, 3))
    if stride > 1:
        # TensorFlow has no depthwise convolution with different strides per axis; pooling over one bin subsamples.
        x = layers.AveragePooling2D(1, strides=(1, stride))(x)
    x = SubSpectralNormalization(_NUM_BANDS, momentum=0.9, epsilon=1e-5)(x)
    temporal = keras.ops.mean(x, axis=2, keepdims=True)
    temporal = _depthwise(temporal, (3, 1), dilation_rate=(dilation, 1))
    temporal = layers.Activation("silu")(_normalization(temporal))
    temporal = _convolution(temporal, channels, 1)
    temporal = layers.SpatialDropout2D(dropout)(temporal)
    x = layers.Add()([x, temporal] if is_transition else [x, temporal, shortcut])
    return layers.ReLU()(x)


def _convolution(x: KerasTensor, filters: int, size: int, **options) -> KerasTensor:
    initializer = _uniform(size * size * x.shape[-1])
    return layers.Conv2D(filters, size, use_bias=False, kernel_initializer=initializer, **options)(x)


def _depthwise(x: KerasTensor, size: tuple[int, int], padding: str = "same", **options) -> KerasTensor:
    initializer = _uniform(size[0] * size[1])
    options |= {"padding": padding, "use_bias": False, "depthwise_initializer": initializer}
    return layers.DepthwiseConv2D(size, **options)(x)


def _uniform(fan_in: int) -> keras.initializers.Initializer:
    """Return the initializer of the original code; with normalisation, the scale affects how fast a kernel learns."""
    return keras.initializers.RandomUniform(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))


def _normalization(x: KerasTensor) -> KerasTensor:
    return FusedBatchNormalization(momentum=0.9, epsilon=1e-5)(x)

"""BC-ResNet: residual blocks that compute in two dimensions what is cheap there and in one what is not.

Kim et al., "Broadcasted residual learning for efficient keyword spotting" (Interspeech 2021, arXiv 2106.04140).
"""

import keras
import tensorflow as tf
from keras import KerasTensor, layers

_NUM_BANDS = 5
_MOMENTUM = 0.9
_EPSILON = 1e-5


def bc_resnet(inputs: KerasTensor, *, tau: float = 1.0, dropout: float = 0.1) -> KerasTensor:
    """Encode a log-mel spectrogram with a BC-ResNet.

    With twelve labels tau = 1 makes 9,232 trainable parameters and tau = 8 makes 321 thousand.

    Args:
        inputs: Log-mel spectrogram of shape (batch, frames, bins), the bins a multiple of 40.
        tau: Width; the paper uses 1, 1.5, 2, 3, 6 and 8.
        dropout: Rate at which a block drops whole channels of its temporal branch, in [0, 1).

    Returns:
        Embedding of shape (batch, 32 * tau).

    Raises:
        ValueError: The number of bins is not a multiple of 40.
    """
    bins = inputs.shape[2]
    if bins is None or bins % 40:
        raise ValueError(f"BC-ResNet halves the bins three times and needs five bands: {bins} bins are no multiple of 40")
    base = 8 * tau
    x = layers.Reshape((-1, bins, 1))(inputs)
    x = layers.ZeroPadding2D(2)(x)
    x = layers.Conv2D(int(2 * base), 5, strides=(1, 2), use_bias=False)(x)
    x = layers.ReLU()(_batch_normalization(x))
    for stage, (width, num_blocks) in enumerate(((1, 2), (1.5, 2), (2, 4), (2.5, 4))):
        for block in range(num_blocks):
            stride = 2 if stage in (1, 2) and block == 0 else 1
            x = _block(x, int(width * base), stride=stride, dilation=2**stage, dropout=dropout)
    x = layers.ZeroPadding2D((2, 0))(x)
    x = layers.DepthwiseConv2D(5, use_bias=False)(x)
    x = layers.Conv2D(int(4 * base), 1, use_bias=False)(x)
    x = layers.ReLU()(_batch_normalization(x))
    return layers.GlobalAveragePooling2D()(x)


def _block(x: KerasTensor, channels: int, *, stride: int, dilation: int, dropout: float) -> KerasTensor:
    """Add a frequency-wise convolution and, broadcast over frequency, a temporal branch on its mean."""
    residual = [x]
    if x.shape[-1] != channels:
        x = layers.Conv2D(channels, 1, use_bias=False)(x)
        x = layers.ReLU()(_batch_normalization(x))
        residual = []
    x = DepthwiseConvolution(axis=2, stride=stride)(x)
    x = SubSpectralNormalization(_NUM_BANDS)(x)
    y = keras.ops.mean(x, axis=2, keepdims=True)
    y = DepthwiseConvolution(axis=1, dilation=dilation)(y)
    y = layers.Activation("silu")(_batch_normalization(y))
    y = layers.Conv2D(channels, 1, use_bias=False)(y)
    y = layers.SpatialDropout2D(dropout)(y)
    return layers.ReLU()(layers.Add()([x, y, *residual]))


def _batch_normalization(x: KerasTensor) -> KerasTensor:
    return layers.BatchNormalization(momentum=_MOMENTUM, epsilon=_EPSILON)(x)


@keras.saving.register_keras_serializable(package="quartet")
class DepthwiseConvolution(layers.Layer):
    """Convolve every channel on its own with three taps along one axis.

    The sum of three shifted products is what XLA fuses with its neighbours; a depthwise convolution is not.

    Args:
        axis: 1 for frames, 2 for bins, of an input of shape (batch, frames, bins, channels).
        stride: Keeps every `stride`-th output, the first one included.
        dilation: Distance between taps.
    """

    def __init__(self, axis: int, stride: int = 1, dilation: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.stride = stride
        self.dilation = dilation

    def build(self, input_shape):
        """Create the three taps, with the variance that a depthwise kernel of three inputs wants."""
        initializer = keras.initializers.VarianceScaling(2.0 / 3.0 * input_shape[-1], mode="fan_out")
        initializer = keras.initializers.RandomUniform(-1.0, 1.0)
        self.kernel = self.add_weight(name="kernel", shape=(3, input_shape[-1]), initializer=initializer)

    def call(self, inputs):
        """Return the sum of the shifted, weighted inputs."""
        padding = [[0, 0]] * 4
        padding[self.axis] = [self.dilation, self.dilation]
        padded = tf.pad(inputs, padding)
        kernel = tf.cast(self.kernel, inputs.dtype)
        total = 0.0
        for tap in range(3):
            window = [slice(None)] * 4
            window[self.axis] = slice(tap * self.dilation, (tap - 2) * self.dilation or None, self.stride)
            total += padded[tuple(window)] * kernel[tap]
        return total

    def compute_output_shape(self, input_shape):
        """Return the input's shape, shorter by the stride along the axis."""
        shape = list(input_shape)
        if shape[self.axis] is not None:
            shape[self.axis] = -(-shape[self.axis] // self.stride)
        return tuple(shape)

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "axis": self.axis, "stride": self.stride, "dilation": self.dilation}


@keras.saving.register_keras_serializable(package="quartet")
class SubSpectralNormalization(layers.Layer):
    """Batch normalisation with statistics and an affine map of their own for each band of frequencies.

    Chang et al., "Subspectral normalization for neural audio data processing" (2021, arXiv 2103.13620).

    Args:
        num_bands: Number of equal, contiguous bands that the bins are cut into.
        momentum: Weight of the old value in the moving averages.
        epsilon: Added to the variance.
    """

    def __init__(self, num_bands: int, momentum: float = _MOMENTUM, epsilon: float = _EPSILON, **kwargs):
        super().__init__(**kwargs)
        self.num_bands = num_bands
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        """Create scale, offset and moving statistics, each of shape (bands, channels)."""
        shape = (self.num_bands, input_shape[-1])
        if input_shape[2] % self.num_bands:
            raise ValueError(f"{input_shape[2]} bins cannot be cut into {self.num_bands} equal bands")
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        moving = {"shape": shape, "trainable": False, "autocast": False, "aggregation": "mean"}
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **moving)
        self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **moving)

    def call(self, inputs, training=False):
        """Normalise (batch, frames, bins, channels) by the batch's statistics in training, else by the moving ones."""
        shape = tf.shape(inputs)
        bins, channels = inputs.shape[2], inputs.shape[3]
        x = tf.reshape(inputs, (shape[0], shape[1], self.num_bands, bins // self.num_bands, channels))
        if training:
            mean, variance = tf.nn.moments(tf.cast(x, "float32"), axes=(0, 1, 3))
            self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1 - self.momentum))
            self.moving_variance.assign(self.moving_variance * self.momentum + variance * (1 - self.momentum))
        else:
            mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
        scale = tf.cast(self.gamma, "float32") * tf.math.rsqrt(variance + self.epsilon)
        offset = tf.cast(self.beta, "float32") - mean * scale
        x = x * tf.cast(scale, x.dtype)[:, tf.newaxis] + tf.cast(offset, x.dtype)[:, tf.newaxis]
        return tf.reshape(x, shape)

    def get_config(self):
        """Return the arguments of the layer."""
        config = {"num_bands": self.num_bands, "momentum": self.momentum, "epsilon": self.epsilon}
        return {**super().get_config(), **config}

"""Keras layers of the networks."""

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable(package="quartet")
class PixelNormalization(layers.Layer):
    """Divide each position's channels by their root mean square (Karras et al., arXiv 1710.10196)."""

    def call(self, inputs):
        """Normalise (batch, …, channels)."""
        x = tf.cast(inputs, tf.float32)
        scale = tf.math.rsqrt(tf.reduce_mean(tf.square(x), axis=-1, keepdims=True) + 1e-8)
        return inputs * tf.cast(scale, inputs.dtype)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="quartet")
class BatchDeviation(layers.Layer):
    """Append a channel with the standard deviation over the batch, which is 0 for a collapsed generator.

    The value is the mean over positions and channels (Karras et al., arXiv 1710.10196).
    """

    def call(self, inputs):
        """Map (batch, frames, bins, channels) to the same shape with one more channel."""
        x = tf.cast(inputs, tf.float32)
        deviation = tf.reduce_mean(tf.sqrt(tf.math.reduce_variance(x, axis=0) + 1e-8))
        channel = tf.zeros_like(inputs[..., :1]) + tf.cast(deviation, inputs.dtype)
        return tf.concat([inputs, channel], axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        return (*input_shape[:-1], input_shape[-1] + 1)


@keras.saving.register_keras_serializable(package="quartet")
class DepthToSpace(layers.Layer):
    """Rearrange the channels of each position into a square of `size` by `size` positions.

    Args:
        size: Side of the square.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, size: int, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs):
        """Map (batch, frames, bins, channels) to (batch, size * frames, size * bins, channels / size²)."""
        return tf.nn.depth_to_space(inputs, self.size)

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        batch, frames, bins, channels = input_shape
        return (batch, frames and frames * self.size, bins and bins * self.size, channels // self.size**2)

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package="quartet")
class SpectralConv2D(layers.Layer):
    """A convolution with spectral normalisation; each call does one step of power iteration.

    Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018 (arXiv 1802.05957). Unlike
    `keras.layers.SpectralNormalization`, it does not overwrite the kernel, and gradients flow through the division.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the kernel.
        strides: Strides in both dimensions.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides

    def build(self, input_shape):
        """Create the kernel, the bias and the left singular vector of the power iteration."""
        shape = (self.kernel_size, self.kernel_size, input_shape[-1], self.filters)
        self.kernel = self.add_weight(shape=shape, initializer="he_normal", autocast=False, name="kernel")
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.vector = self.add_weight(
            shape=(1, self.filters),
            initializer=keras.initializers.RandomNormal(seed=0),
            trainable=False,
            autocast=False,
            aggregation="mean",
            name="vector",
        )

    def call(self, inputs, training=False):
        """Convolve (batch, frames, bins, channels)."""
        kernel = tf.convert_to_tensor(self.kernel)
        matrix = tf.reshape(kernel, (-1, self.filters))
        vector = tf.convert_to_tensor(self.vector)
        right = tf.stop_gradient(tf.math.l2_normalize(tf.matmul(vector, matrix, transpose_b=True)))
        left = tf.stop_gradient(tf.math.l2_normalize(tf.matmul(right, matrix)))
        if training:
            self.vector.assign(left)
        if inputs.shape[0] == 0:
            # In TensorFlow 2.21 the convolution of an empty batch has the wrong shape.
            return tf.zeros(self.compute_output_shape(inputs.shape), inputs.dtype)
        norm = tf.matmul(tf.matmul(right, matrix), left, transpose_b=True)[0, 0]
        outputs = tf.nn.conv2d(inputs, tf.cast(kernel / (norm + 1e-12), inputs.dtype), self.strides, "SAME")
        return tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))

    def compute_output_shape(self, input_shape):
        """Return the shape of the output."""
        batch, frames, bins, _ = input_shape
        return (batch, *(size and -(-size // self.strides) for size in (frames, bins)), self.filters)

    def get_config(self):
        """Return the arguments of the layer."""
        names = ("filters", "kernel_size", "strides")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

"""Normalisation layers of the encoders."""

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable(package="quartet")
class FusedBatchNormalization(layers.Layer):
    """Batch normalisation over the last axis by the fused kernel of TensorFlow.

    Unlike `keras.layers.BatchNormalization`:

    - it uses a single operation, which makes training on a CPU three to four times faster;
    - the moving statistics are the mean over all replicas instead of those of one replica;
    - the moving variance uses the unbiased estimate of the kernel;
    - statistics are float32 under any dtype policy.

    Args:
        momentum: Weight of the old value in the moving statistics.
        epsilon: Added to the variance; at least 1e-5, the minimum of cuDNN.

    Example:
        >>> FusedBatchNormalization()(keras.random.normal((2, 101, 8)), training=True).shape
        TensorShape([2, 101, 8])
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-3, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        """Create scale, offset and moving statistics, each of shape (channels,)."""
        shape = (input_shape[-1],)
        trained = {"shape": shape, "dtype": "float32", "autocast": False}
        moving = {**trained, "trainable": False, "aggregation": "mean"}
        self.gamma = self.add_weight(name="gamma", initializer="ones", **trained)
        self.beta = self.add_weight(name="beta", initializer="zeros", **trained)
        self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **moving)
        self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **moving)

    def call(self, inputs, training=False):
        """Normalise (batch, …, channels) by batch statistics in training, else (or if frozen) by moving statistics."""
        scale, offset = tf.convert_to_tensor(self.gamma), tf.convert_to_tensor(self.beta)
        if not (training and self.trainable):
            mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
            x = tf.cast(inputs, tf.float32)
            return tf.cast(tf.nn.batch_normalization(x, mean, variance, offset, scale, self.epsilon), inputs.dtype)
        shape, channels = tf.shape(inputs), inputs.shape[-1]
        # The kernel expects images; all axes between batch and channels become an image that is one pixel wide.
        x = tf.reshape(inputs, (shape[0], -1, 1, channels))
        if x.dtype == tf.float64 or (x.dtype == tf.bfloat16 and channels % 16):
            # The kernel does not support float64. oneDNN has no vector code for these bfloat16 shapes, which takes 4 to
            # 50 times as long as float32.
            x = tf.cast(x, tf.float32)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=scale,
            offset=offset,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            # A device may get no examples of a small batch; then the statistics are kept.
            value = tf.where(shape[0] > 0, value, moving)
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return tf.cast(tf.reshape(outputs, shape), inputs.dtype)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self):
        """Return the arguments of the layer."""
        return {**super().get_config(), "momentum": self.momentum, "epsilon": self.epsilon}


@keras.saving.register_keras_serializable(package="quartet")
class SubSpectralNormalization(layers.Layer):
    """Batch normalisation with separate statistics, scale and offset for each frequency band.

    Chang et al., "Subspectral normalization for neural audio data processing" (2021, arXiv 2103.13620).

    Args:
        num_bands: Number of contiguous bands with equal numbers of bins.
        momentum: Weight of the old value in the moving statistics.
        epsilon: Added to the variance; at least 1e-5, the minimum of cuDNN.

    Raises:
        ValueError: The number of bins is not a multiple of the number of bands.

    Example:
        >>> SubSpectralNormalization(num_bands=5)(keras.random.normal((2, 101, 20, 8)), training=True).shape
        TensorShape([2, 101, 20, 8])
    """

    def __init__(self, num_bands: int, momentum: float = 0.99, epsilon: float = 1e-3, **kwargs):
        super().__init__(**kwargs)
        self.num_bands = num_bands
        self.momentum = momentum
        self.epsilon = epsilon
        self.normalization = FusedBatchNormalization(momentum, epsilon, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Create scale, offset and moving statistics, each of shape (bands * channels,)."""
        if input_shape[2] is None or input_shape[2] % self.num_bands:
            raise ValueError(f"{input_shape[2]} bins cannot be divided into {self.num_bands} equal bands")
        self.normalization.build((None, None, self.num_bands * input_shape[3]))

    def call(self, inputs, training=False):
        """Normalise (batch, frames, bins, channels) band by band."""
        shape = tf.shape(inputs)
        bins, channels = inputs.shape[2:]
        band_bins = bins // self.num_bands
        # Reshape, so that each channel of each band is a channel of the inner layer.
        x = tf.reshape(inputs, (-1, self.num_bands, band_bins, channels))
        x = tf.reshape(tf.transpose(x, (0, 2, 1, 3)), (shape[0], shape[1] * band_bins, self.num_bands * channels))
        x = self.normalization(x, training=training)
        x = tf.reshape(x, (-1, band_bins, self.num_bands, channels))
        return tf.reshape(tf.transpose(x, (0, 2, 1, 3)), shape)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self):
        """Return the arguments of the layer."""
        config = {"num_bands": self.num_bands, "momentum": self.momentum, "epsilon": self.epsilon}
        return {**super().get_config(), **config}

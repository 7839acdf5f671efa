"""Separate whole songs in TensorFlow, for the exported model."""

import keras
import tensorflow as tf

from common.features import framing
from separation import inference
from separation.config import Config
from separation.models import window_stems


def overlap_add(model: keras.Model, config: Config, mixture: tf.Tensor) -> tf.Tensor:
    """Separate a whole mixture in TensorFlow, with the same result as `StemSeparator.stream`.

    Args:
        model: From `models.load_model`.
        config: The model's configuration.
        mixture: Shape `(samples, channels)`, any length.

    Returns:
        Stems, shape `(stems, samples, channels)`.
    """
    size, hop, num_stems = config.window_samples, config.window_hop, len(config.stems)
    length = tf.shape(mixture)[0]
    num_windows = 1 + tf.maximum(0, -(-(length - size) // hop))
    padded = tf.pad(mixture, [[0, (num_windows - 1) * hop + size - length], [0, 0]])
    weights = inference.triangle(size, hop)

    def window(index: tf.Tensor) -> tf.Tensor:
        stems = window_stems(model, config, padded[None, index * hop : index * hop + size])
        return stems[0] * weights[None, :, None]

    signature = tf.TensorSpec((num_stems, size, config.num_channels), tf.float32)
    stems = tf.map_fn(window, tf.range(num_windows), fn_output_signature=signature, parallel_iterations=1)
    sums = framing.overlap_and_add(tf.transpose(stems, [1, 3, 0, 2]), hop)
    total = framing.overlap_and_add(tf.broadcast_to(weights, (num_windows, size)), hop)
    return tf.transpose(sums / total, [0, 2, 1])[:, :length]

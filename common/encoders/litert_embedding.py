"""Embeddings of a LiteRT file as a Keras layer; see `common.encoders.litert_file`."""

import keras
import tensorflow as tf
from keras import layers

from common.encoders.litert_file import FrontEnd


@keras.saving.register_keras_serializable(package="quartet")
class LiteRTEmbedding(layers.Layer):
    """Embed a waveform with a LiteRT file, which is fixed.

    The layer calls the interpreter of LiteRT, on the CPU of this process. So it has no gradient and no weights, XLA
    cannot compile it, and a SavedModel or a LiteRT file cannot contain it: `common.export.front_end` exports it beside
    the rest of the model.

    Args:
        file: Path of the LiteRT file.
        tensor: Name of the tensor that is the embedding; empty for the first output.

    Raises:
        UserError: The file cannot be used.
    """

    def __init__(self, file: str, tensor: str = "", **kwargs):
        super().__init__(trainable=False, autocast=False, **kwargs)
        self.file = file
        self.tensor = tensor
        # Keras would compile predictions with XLA.
        self.supports_jit = False

    def build(self, input_shape):
        """Load the file for these waveforms."""
        if input_shape[1] is None:
            raise ValueError("an embedding needs a static number of samples; give keras.Input((samples,))")
        self.front_end = FrontEnd(self.file, self.tensor, input_shape[1])

    def call(self, inputs):
        """Map waveforms (batch, samples) to embeddings (batch, size)."""
        waveforms = tf.cast(inputs, tf.float32)
        embeddings = tf.numpy_function(self.front_end, [waveforms], tf.float32, stateful=False)
        embeddings = tf.ensure_shape(embeddings, (waveforms.shape[0], self.front_end.size))
        return tf.cast(embeddings, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Return (batch, size)."""
        return (input_shape[0], self.front_end.size)

    def get_config(self):
        """Return the arguments of the layer."""
        config = super().get_config()
        del config["trainable"]
        return {**config, "file": self.file, "tensor": self.tensor}


def find(model: keras.Model) -> LiteRTEmbedding | None:
    """Return the layer of a model that is a LiteRT file, at any depth; None if there is none."""
    return next((layer for layer in model._flatten_layers() if isinstance(layer, LiteRTEmbedding)), None)


def facts(model: keras.Model) -> list[str]:
    """Say in a part of a line what the LiteRT file of a model computes; nothing without one."""
    layer = find(model)
    if layer is None:
        return []
    file = layer.front_end
    return [f"{file.name} of {file.path}: {file.size:,} values, {len(file.starts)} x {file.window:,} samples per clip"]

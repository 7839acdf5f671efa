"""Embeddings of a pretrained network: any SavedModel or LiteRT file that takes a waveform, such as YAMNet.

The published YAMNet (github.com/tensorflow/models, research/audioset/yamnet) takes one waveform at 16 kHz and returns
scores (frames, 521), embeddings (frames, 1024) and a log-mel spectrogram.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import tensorflow as tf
from keras import KerasTensor, layers

from common.encoders import litert_file
from common.encoders.litert_embedding import LiteRTEmbedding
from common.errors import UserError

_YAMNET_SIGNATURE = ["output_0", "output_1", "output_2"]


def embedding(inputs: KerasTensor, *, path: str | Path, fine_tune: bool = False, tensor: str = "") -> KerasTensor:
    """Embed a waveform with a SavedModel or a tensor of a LiteRT file; see `SavedModelEmbedding`, `LiteRTEmbedding`."""
    file = litert_file.find(path)
    if file:
        litert_file.check_options(file, fine_tune, jit_compile=False)
        return LiteRTEmbedding(str(file), tensor, dtype="float32")(inputs)
    return SavedModelEmbedding(str(path), fine_tune, dtype="float32")(inputs)


@keras.saving.register_keras_serializable(package="quartet")
class SavedModelEmbedding(layers.Layer):
    """Embed a waveform with a SavedModel and average over the frames.

    The model or one of its signatures is called with one waveform (samples,) or a batch (batch, samples), float32 in
    [-1, 1], at the sample rate of the model. The embedding is the only output, or the output named "embeddings" or
    "embedding", or the second of three outputs, as in YAMNet. Loading executes no code except the TensorFlow graph.

    Args:
        folder: Folder of the SavedModel.
        fine_tune: Whether its variables are trained; the model runs in inference mode also in training.

    Raises:
        UserError: There is no SavedModel, it does not take a waveform, or it has no embedding output.
    """

    def __init__(self, folder: str, fine_tune: bool = False, **kwargs):
        super().__init__(trainable=fine_tune, autocast=False, **kwargs)
        self.folder = folder
        self.fine_tune = fine_tune
        self.model = load(folder)

    def build(self, input_shape):
        """Find the function for these waveforms, and register its variables as weights."""
        samples = input_shape[1]
        if samples is None:
            raise ValueError("an embedding needs a static number of samples; give keras.Input((samples,))")
        self.function, self.takes_batch = _function(self.model, samples, self.folder)
        for variable in self.function.variables:
            self._adopt(variable)
        self.size = self._size(samples)

    def call(self, inputs):
        """Map waveforms (batch, samples) to embeddings (batch, size)."""
        return tf.cast(self._embed_all(tf.cast(inputs, tf.float32)), self.compute_dtype)

    def _embed_all(self, inputs: tf.Tensor) -> tf.Tensor:
        if self.takes_batch:
            embeddings = self._embed(inputs)
            return embeddings if embeddings.shape.rank == 2 else tf.reduce_mean(embeddings, axis=1)
        if inputs.shape[0] == 1:
            # Exports to LiteRT take one clip, which needs no loop.
            return self._embed_one(inputs[0])[tf.newaxis]
        return tf.map_fn(self._embed_one, inputs, fn_output_signature=tf.TensorSpec((self.size,), tf.float32))

    def compute_output_shape(self, input_shape):
        """Return (batch, size)."""
        return (input_shape[0], self.size)

    def get_config(self):
        """Return the arguments of the layer."""
        config = super().get_config()
        del config["trainable"]
        return {**config, "folder": self.folder, "fine_tune": self.fine_tune}

    def _embed_one(self, waveform: tf.Tensor) -> tf.Tensor:
        embeddings = self._embed(waveform)
        embeddings = embeddings if embeddings.shape.rank == 1 else tf.reduce_mean(embeddings, axis=0)
        return tf.ensure_shape(embeddings, (getattr(self, "size", None),))

    def _embed(self, waveforms: tf.Tensor) -> tf.Tensor:
        outputs = self.function(waveforms)
        if isinstance(outputs, dict):
            names = [name for name in ("embeddings", "embedding") if name in outputs]
            if sorted(outputs) == _YAMNET_SIGNATURE:
                names = _YAMNET_SIGNATURE[1:2]
            outputs = [outputs[name] for name in names[:1] or outputs]
        elif isinstance(outputs, list | tuple):
            outputs = outputs[1:2] if len(outputs) == 3 else outputs
        else:
            outputs = [outputs]
        ranks = (2, 3) if self.takes_batch else (1, 2)
        if len(outputs) != 1 or outputs[0].dtype != tf.float32 or outputs[0].shape.rank not in ranks:
            shapes = ", ".join(f"{output.dtype.name} {output.shape}" for output in outputs)
            raise UserError(
                f'--embedding: {self.folder} has no embedding output of shape ("frames", "values"); its outputs: {shapes}'
            )
        return outputs[0]

    def _size(self, samples: int) -> int:
        """Return the size of an embedding, by embedding silence."""
        with tf.init_scope():
            silence = tf.zeros((samples,))
            try:
                embedding = self._embed(silence[tf.newaxis])[0] if self.takes_batch else self._embed(silence)
            except tf.errors.OpError as error:
                raise UserError(
                    f"--embedding: {self.folder} does not support {samples} samples: {error.message}"
                ) from error
        return int(embedding.shape[-1])

    def _adopt(self, variable: tf.Variable) -> None:
        """Register a variable of the graph as a weight of the layer, for training, counting and saving."""
        weight = self.add_weight(
            shape=variable.shape,
            dtype=variable.dtype.name,
            trainable=variable.trainable,
            initializer="zeros",
            autocast=False,
            name=variable.name.split(":")[0].replace("/", "_"),
        )
        # Keras has no public API to train a variable that it did not create.
        weight._value = variable


def load(path: str | Path) -> object:
    """Load a SavedModel.

    Raises:
        UserError: There is no SavedModel at `path`, or it cannot be loaded.
    """
    if not (Path(path) / "saved_model.pb").exists():
        raise UserError(f"--embedding: {path} is not a SavedModel (a folder with saved_model.pb)")
    try:
        return tf.saved_model.load(str(path))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(f"--embedding: cannot load {path}: {error}") from error


def _function(model: object, samples: int, path: str) -> tuple[Callable, bool]:
    """Return the function of a SavedModel for waveforms, and whether it takes a batch."""
    signatures = getattr(model, "signatures", {})
    candidates = [*([model] if callable(model) else []), *(_by_position(item) for item in signatures.values())]
    for shape in ((samples,), (None, samples)):
        for candidate in candidates:
            try:
                signature = tf.TensorSpec(shape, tf.float32)
                return tf.function(candidate, autograph=False).get_concrete_function(signature), len(shape) == 2
            except (TypeError, ValueError, tf.errors.OpError):
                continue
    takes = [str(list(item.structured_input_signature[1].values())) for item in signatures.values()]
    raise UserError(
        f"--embedding: {path} does not take {samples} float32 samples as (samples,) or (batch, samples); "
        f"its signatures take {', '.join(takes) or 'nothing'}"
    )


def _by_position(signature: Callable) -> Callable:
    """Wrap a signature with one input as a function with a positional argument."""

    def call(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        ((name, taken),) = signature.structured_input_signature[1].items()
        # The graph itself only rejects shapes that its operators do not support.
        if not (taken.shape.is_compatible_with(waveform.shape) and taken.dtype == waveform.dtype):
            raise ValueError(f"expected {taken}, got {waveform}")
        return signature(**{name: waveform})

    return call

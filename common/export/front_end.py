"""Export of a model whose front end is a LiteRT file: the file beside the rest of the model, the head.

TensorFlow and LiteRT cannot take a LiteRT file into another model. So the exported models take the embedding instead of
the waveform, and `embedding.tflite` computes it: `embedding` of the report says how.
"""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from common import files
from common.encoders import classifier, litert_embedding, litert_file
from common.encoders.litert_file import FrontEnd
from common.export import graphs
from common.log import logger

# Both are the same file in the same interpreter.
_TOLERANCE = 1e-5


class Detached(NamedTuple):
    """What of a model is exported.

    Attributes:
        model: Maps inputs to outputs; its only input has the name that the exports give it.
        inputs: Test excerpts for the comparison, as the model takes them.
        expected: Outputs of the whole model for these excerpts.
        report: Entries for `report.json`.
    """

    model: keras.Model
    inputs: np.ndarray
    expected: np.ndarray
    report: dict

    def signature(self, batch: int | None) -> tf.TensorSpec:
        """Return the input of an exported model."""
        (taken,) = self.model.inputs
        return tf.TensorSpec((batch, *taken.shape[1:]), tf.float32, name=taken.name)

    def checked(self, output: str, tolerance: float) -> dict:
        """Return the values of a `graphs.Graph` to compare one output with that of the model."""
        return {"inputs": self.inputs, "expected": {output: self.expected}, "tolerances": {output: tolerance}}


def detach(model: keras.Model, clips: np.ndarray, folder: Path) -> Detached:
    """Detach a LiteRT file from a model and write it; any other model is exported as it is.

    Args:
        model: A classifier.
        clips: Test excerpts, shape `(excerpts, num_samples)`.
        folder: The target folder.

    Returns:
        For a model with a LiteRT file the head, and the embeddings that the written file gives for the excerpts.

    Raises:
        UserError: The written file differs from the one in the model.
    """
    expected = model.predict(clips, verbose=0)
    layer = litert_embedding.find(model)
    if layer is None:
        return Detached(model, clips, expected, {})
    cut = layer.front_end
    path = folder / litert_file.FILE
    files.check_writable(folder)
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(cut.content)
    written = FrontEnd(path, "", cut.num_samples)
    embeddings = written(clips)
    last = model.get_layer(classifier.ENCODED).output
    in_model = keras.Model(model.input, last).predict(clips, verbose=0)
    facts = graphs.compare(path.name, in_model, embeddings, _TOLERANCE)
    embedding = keras.Input((cut.size,), name="embedding", dtype="float32")
    head = keras.Model(embedding, keras.Model(last, model.output)(embedding), name=f"{model.name}_head")
    logger.info(
        "the front end is a LiteRT file, which another model cannot contain: the exports take the embedding that %s"
        " computes; see `embedding` in report.json",
        path.name,
    )
    facts |= {
        "file": path.name,
        "bytes": path.stat().st_size,
        "tensor": cut.name,
        "window_samples": cut.window,
        "window_starts": cut.starts,
        "rule": "mean over the windows, each from a fresh state, and over all axes of the output but the last; a shorter clip"
        " is padded with zeros",
    }
    return Detached(head, embeddings, expected, {"embedding": facts})

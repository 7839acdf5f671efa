"""SavedModel: the format of TensorFlow and TensorFlow Serving; any batch size and all operators of TensorFlow."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import files
from common.export import graphs

FILE = "saved_model"


def write(model: keras.Model, graph: graphs.Graph, path: Path) -> None:
    """Write a SavedModel with the function of the graph as signature `serving_default`, and its `others`."""
    with files.atomic_folder(path) as temporary:
        graphs.write_archive(model, graph, temporary)


def run(path: Path, inputs: np.ndarray, output: str, signature: str = "serving_default") -> np.ndarray:
    """Run a signature of a SavedModel on a batch of inputs and return one named output."""
    serve = tf.saved_model.load(str(path)).signatures[signature]
    name = next(iter(serve.structured_input_signature[1]))
    return serve(**{name: tf.constant(inputs)})[output].numpy()

"""SavedModel: what TensorFlow and TensorFlow Serving load; any batch, any of TensorFlow's operators."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import files
from common.export import graphs

FILE = "saved_model"


def write(model: keras.Model, graph: graphs.Graph, path: Path) -> None:
    """Write a SavedModel whose signature `serving_default` is the graph's function, beside `others`."""
    with files.atomic_folder(path) as temporary:
        graphs.write_archive(model, graph, temporary)


def run(path: Path, inputs: np.ndarray, output: str, signature: str = "serving_default") -> np.ndarray:
    """Return one named output of one of a SavedModel's signatures for a batch of inputs."""
    serve = tf.saved_model.load(str(path)).signatures[signature]
    name = next(iter(serve.structured_input_signature[1]))
    return serve(**{name: tf.constant(inputs)})[output].numpy()

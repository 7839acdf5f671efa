"""LiteRT, formerly TensorFlow Lite: a file for phones and embedded devices, with builtin operators only."""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from common import files, startup
from common.export import graphs

FILE = "model.tflite"


def write(model: keras.Model, graph: graphs.Graph, path: Path) -> None:
    """Write a `.tflite` file; the input shape of the graph must be static, and no output may be text."""
    # Keras 3 models must be converted from a SavedModel: from a concrete function, TensorFlow 2.21 leaves the weights
    # uninitialised, and from the model itself TensorFlow 2.16 crashes.
    with tempfile.TemporaryDirectory() as folder:
        graphs.write_archive(model, graph, Path(folder) / "model")
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder) / "model"))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        with startup.without_notes():
            content = converter.convert()
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(content)


def run(path: Path, inputs: np.ndarray, output: str) -> np.ndarray:
    """Run a LiteRT file on each input and return one named output, stacked."""
    # The first inference prints the note.
    with startup.without_notes():
        serve = Interpreter(model_path=str(path)).get_signature_runner()
        name = next(iter(serve.get_input_details()))
        return np.stack([serve(**{name: example[None]})[output][0] for example in inputs])


def time_files(paths: Mapping[str, Path], rounds: int) -> dict[str, float]:
    """Measure the inference time of LiteRT files with one input, for one example on one thread.

    The files take turns in every round, so that other load on the machine affects all of them equally.

    Args:
        paths: The files by name.
        rounds: Number of runs of each file.

    Returns:
        The median time in seconds for each name.
    """
    rng = np.random.default_rng(0)
    with startup.without_notes():
        interpreters = {name: Interpreter(model_path=str(path), num_threads=1) for name, path in paths.items()}
        for interpreter in interpreters.values():
            interpreter.allocate_tensors()
            source = interpreter.get_input_details()[0]
            interpreter.set_tensor(source["index"], rng.normal(0, 0.1, source["shape"]).astype(np.float32))
            interpreter.invoke()
    seconds = {name: [] for name in interpreters}
    for _ in range(rounds):
        for name, interpreter in interpreters.items():
            begin = time.perf_counter()
            interpreter.invoke()
            seconds[name].append(time.perf_counter() - begin)
    return {name: float(np.median(values)) for name, values in seconds.items()}

"""LiteRT, once TensorFlow Lite: one file for phones and small computers, of builtin operators only."""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from common import files
from common.export import graphs

FILE = "model.tflite"


def write(model: keras.Model, graph: graphs.Graph, path: Path) -> None:
    """Write a `.tflite` file that runs where TensorFlow is not; all sizes of the input are given, no output is text."""
    # Only by way of a SavedModel do the weights of a Keras 3 model arrive: from a concrete function TensorFlow 2.21
    # leaves them uninitialised, and from the model itself TensorFlow 2.16 crashes.
    with tempfile.TemporaryDirectory() as folder:
        graphs.write_archive(model, graph, Path(folder) / "model")
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder) / "model"))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        content = converter.convert()
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(content)


def run(path: Path, inputs: np.ndarray, output: str) -> np.ndarray:
    """Return one named output of a LiteRT file for each input in turn, stacked."""
    serve = Interpreter(model_path=str(path)).get_signature_runner()
    name = next(iter(serve.get_input_details()))
    return np.stack([serve(**{name: example[None]})[output][0] for example in inputs])


def time_files(paths: Mapping[str, Path], rounds: int) -> dict[str, float]:
    """Measure how long LiteRT files of one input take for one example on one thread.

    All take their turn in every round, so that what else the machine does falls on all alike.

    Args:
        paths: The files by name.
        rounds: How often each is run.

    Returns:
        For each name the median of the seconds.
    """
    interpreters = {name: Interpreter(model_path=str(path), num_threads=1) for name, path in paths.items()}
    rng = np.random.default_rng(0)
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

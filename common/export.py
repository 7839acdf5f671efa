"""From a trained model to files that other programs run, each compared with the model it came from."""

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import keras
import numpy as np
import tensorflow as tf
from absl import flags
from ai_edge_litert.interpreter import Interpreter

from common import files
from common.config import FlagValues
from common.errors import UserError, nearest

FORMATS = ("saved_model", "litert")
Serve = Callable[[tf.Tensor], dict[str, tf.Tensor]]


def define_formats_flag(flag_values: FlagValues) -> None:
    """Define which files are written."""
    flags.DEFINE_list("formats", list(FORMATS), f"any of {', '.join(FORMATS)}", flag_values=flag_values)


def check_formats(names: Iterable[str]) -> None:
    """Refuse formats that nobody can write.

    Raises:
        UserError: A name is not one of `FORMATS`.
    """
    for name in names:
        if name not in FORMATS:
            raise UserError(
                f'--formats: unknown "{name}", expected any of {", ".join(FORMATS)}.{nearest(name, FORMATS)}'
            )


def write_saved_model(
    model: keras.Model,
    serve: Serve,
    signature: tf.TensorSpec,
    folder: Path,
    others: Mapping[str, tuple[Serve, tf.TensorSpec]] = MappingProxyType({}),
) -> None:
    """Write a SavedModel whose signature `serving_default` is `serve`.

    Args:
        model: The model whose weights `serve` uses.
        serve: From the input to named outputs.
        signature: Shape, type and name of the input.
        folder: Where to; an earlier SavedModel there is replaced.
        others: More functions and their inputs, by the names of their signatures.
    """
    with files.atomic_folder(folder) as temporary:
        _write_archive(model, {"serve": (serve, signature), **others}, temporary)


def write_litert(
    model: keras.Model,
    signature: tf.TensorSpec,
    path: Path,
    serve: Serve | None = None,
) -> None:
    """Write a LiteRT file that uses builtin operators only, so that it runs where TensorFlow is not.

    Args:
        model: The model; from one input to one output, unless `serve` is given.
        signature: Shape (all sizes given), type and name of the input.
        path: The `.tflite` file.
        serve: From the input to named outputs, none of them text; unless given the model's output is `probabilities`.
    """
    serve = serve or (lambda inputs: {"probabilities": model(inputs, training=False)})
    # Only by way of a SavedModel do the weights of a Keras 3 model arrive: from a concrete function TensorFlow 2.21
    # leaves them uninitialised, and from the model itself TensorFlow 2.16 crashes.
    with tempfile.TemporaryDirectory() as folder:
        _write_archive(model, {"serve": (serve, signature)}, Path(folder) / "model")
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder) / "model"))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        content = converter.convert()
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _write_archive(model: keras.Model, endpoints: Mapping[str, tuple[Serve, tf.TensorSpec]], folder: Path) -> None:
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, (serve, signature) in endpoints.items():
        archive.add_endpoint(name, serve, input_signature=[signature])
    archive.write_out(str(folder), verbose=False)


def run_saved_model(folder: Path, inputs: np.ndarray, output: str) -> np.ndarray:
    """Return one named output of a SavedModel's `serving_default` for a batch of inputs."""
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    name = next(iter(serve.structured_input_signature[1]))
    return serve(**{name: tf.constant(inputs)})[output].numpy()


def run_litert(path: Path, inputs: np.ndarray, output: str = "probabilities") -> np.ndarray:
    """Return one named output of a LiteRT file for each input in turn, stacked."""
    serve = Interpreter(model_path=str(path)).get_signature_runner()
    name = next(iter(serve.get_input_details()))
    return np.stack([serve(**{name: example[None]})[output][0] for example in inputs])


def time_litert(paths: Mapping[str, Path], rounds: int) -> dict[str, float]:
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


def compare(name: str, expected: np.ndarray, received: np.ndarray, tolerance: float) -> dict:
    """Measure how far an exported model's answers are from the Keras model's.

    Args:
        name: The format, for the message.
        expected: The Keras model's answers.
        received: The exported model's answers to the same inputs.
        tolerance: Largest difference allowed.

    Returns:
        `max_difference`, `tolerance` and `num_excerpts`.

    Raises:
        UserError: The difference is over the tolerance or not a number, or the shapes differ.
    """
    difference = float(np.max(np.abs(expected - received))) if expected.shape == received.shape else float("nan")
    if not difference <= tolerance:
        raise UserError(
            f"{name}: answers differ from the Keras model's by {difference:.3g}, allowed {tolerance:g}; do not use this export"
        )
    logging.info("%s: largest difference from the Keras model %.2g on %d excerpts", name, difference, len(expected))
    return {"max_difference": difference, "tolerance": tolerance, "num_excerpts": len(expected)}

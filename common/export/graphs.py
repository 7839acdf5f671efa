"""Export a model in several formats, and compare each export with the Keras model."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import export, progress
from common.errors import UserError
from common.log import logger

Serve = Callable[[tf.Tensor], dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A function of a trained model to export, with reference inputs and outputs.

    Attributes:
        serve: Maps the input to named outputs.
        signature: Shape, type and name of the input.
        inputs: Real excerpts for the comparison, in batches of the size of the signature.
        expected: The outputs of the Keras model for `inputs`, by name.
        tolerances: Largest allowed difference of each output.
        others: Additional functions and their inputs by signature name, for formats with several signatures.
    """

    serve: Serve
    signature: tf.TensorSpec
    inputs: np.ndarray | None = None
    expected: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    tolerances: Mapping[str, float] = dataclasses.field(default_factory=dict)
    others: Mapping[str, tuple[Serve, tf.TensorSpec]] = dataclasses.field(default_factory=dict)


def probabilities_of(model: keras.Model, signature: tf.TensorSpec) -> Graph:
    """Return the graph of a model with one input and one output named `probabilities`."""
    return Graph(lambda inputs: {"probabilities": model(inputs, training=False)}, signature)


def write_all(model: keras.Model, graphs: Mapping[str, Callable[[], Graph]], folder: Path) -> dict:
    """Export a model in several formats and compare each export with the model.

    Args:
        model: The model with the weights of the graphs.
        graphs: For each format a function that returns its graph.
        folder: The target folder; existing exports are replaced.

    Returns:
        For each format the result of `compare` for the output with the largest difference relative to its tolerance.

    Raises:
        UserError: The outputs of an export differ from those of the model.
    """
    report = {}
    # Each format is written, then compared.
    with progress.bar(2 * len(graphs), "exporting", "step") as meter:
        for name, make in graphs.items():
            graph, written = make(), export.module(name)
            path = folder / written.FILE
            written.write(model, graph, path)
            meter.update()
            compared = [
                compare(f"{name} {output}", expected, written.run(path, graph.inputs, output), graph.tolerances[output])
                for output, expected in graph.expected.items()
            ]
            report[name] = max(compared, key=lambda one: one["max_difference"] / one["tolerance"])
            if path.is_file():
                report[name]["bytes"] = path.stat().st_size
            meter.update()
    return report


def write_archive(model: keras.Model, graph: Graph, folder: Path) -> None:
    """Write a SavedModel by `keras.export`, with the function of the graph as signature `serve`."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, (serve, signature) in {"serve": (graph.serve, graph.signature), **graph.others}.items():
        archive.add_endpoint(name, serve, input_signature=[signature])
    archive.write_out(str(folder), verbose=False)


def compare(name: str, expected: np.ndarray, received: np.ndarray, tolerance: float) -> dict:
    """Compare the outputs of an exported model with those of the Keras model.

    Args:
        name: The format, for the message.
        expected: The outputs of the Keras model.
        received: The outputs of the exported model for the same inputs.
        tolerance: Largest allowed difference.

    Returns:
        `max_difference`, `tolerance` and `num_excerpts`.

    Raises:
        UserError: The difference exceeds the tolerance or is NaN, or the shapes differ.
    """
    difference = float(np.max(np.abs(expected - received))) if expected.shape == received.shape else float("nan")
    if not difference <= tolerance:
        raise UserError(
            f"{name}: outputs differ from the Keras model by {difference:.3g}, allowed {tolerance:g}; do not use this export"
        )
    logger.info("%s: largest difference from the Keras model %.2g on %d excerpts", name, difference, len(expected))
    return {"max_difference": difference, "tolerance": tolerance, "num_excerpts": len(expected)}

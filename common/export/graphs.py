"""What a task exports, in every format that is asked for, each compared with the model that it came from."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import export
from common.errors import UserError

Serve = Callable[[tf.Tensor], dict[str, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Graph:
    """A function of a trained model that is written to a file, and what it has to answer.

    Attributes:
        serve: From the input to named outputs.
        signature: Shape, type and name of the input.
        inputs: Real excerpts to compare on, as many at once as the signature takes.
        expected: The answers of the Keras model to them, by output.
        tolerances: Largest difference allowed, by output.
        others: More functions and their inputs, by the names of their signatures, where a format knows several.
    """

    serve: Serve
    signature: tf.TensorSpec
    inputs: np.ndarray | None = None
    expected: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    tolerances: Mapping[str, float] = dataclasses.field(default_factory=dict)
    others: Mapping[str, tuple[Serve, tf.TensorSpec]] = dataclasses.field(default_factory=dict)


def probabilities_of(model: keras.Model, signature: tf.TensorSpec) -> Graph:
    """Return the graph of a model from one input to one output, which is called `probabilities`."""
    return Graph(lambda inputs: {"probabilities": model(inputs, training=False)}, signature)


def write_all(model: keras.Model, graphs: Mapping[str, Callable[[], Graph]], folder: Path) -> dict:
    """Write a model in some formats and compare each with it.

    Args:
        model: The model whose weights the graphs use.
        graphs: What to write in each format.
        folder: Where to; what a format left there before is replaced.

    Returns:
        For each format the figures of `compare`, of the output that is furthest from the Keras model.

    Raises:
        UserError: An export answers differently from the model.
    """
    report = {}
    for name, make in graphs.items():
        graph, written = make(), export.module(name)
        path = folder / written.FILE
        written.write(model, graph, path)
        compared = [
            compare(f"{name} {output}", expected, written.run(path, graph.inputs, output), graph.tolerances[output])
            for output, expected in graph.expected.items()
        ]
        report[name] = max(compared, key=lambda one: one["max_difference"] / one["tolerance"])
        if path.is_file():
            report[name]["bytes"] = path.stat().st_size
    return report


def write_archive(model: keras.Model, graph: Graph, folder: Path) -> None:
    """Write a SavedModel as Keras does, whose signature `serve` is the graph's function."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, (serve, signature) in {"serve": (graph.serve, graph.signature), **graph.others}.items():
        archive.add_endpoint(name, serve, input_signature=[signature])
    archive.write_out(str(folder), verbose=False)


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

"""Training and inference of three networks, compared with PyTorch; `python -m benchmarks.networks`.

The networks are the CNN of the report on 44 x 13 features, M5 on one second of waveform at 16 kHz, and BC-ResNet-1 on
101 x 40 log-mel; features are not included on either side. Our training is `model.fit` with the optimizers and steps
per execution of the toolkit, PyTorch uses the usual training loop; both track loss and accuracy. Inference is on one
clip: by LiteRT, and by PyTorch eager, compiled, as frozen TorchScript, and compiled ahead of time from `torch.export`,
each with one and two threads. All routes of a network have the same data in memory and take turns. The outputs for one
clip are compared with a tolerance of 1e-4.

The table is printed and written to runs/benchmarks/networks.csv and networks.md.
"""

import os

NUM_THREADS = 2
os.environ["OMP_NUM_THREADS"] = str(NUM_THREADS)

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
import torch
from ai_edge_litert.interpreter import Interpreter
from torch._inductor import config as inductor

from benchmarks import peers
from benchmarks.timing import take_turns
from common import files
from common.config import TrainingConfig
from common.data import shards
from common.encoders import ENCODERS
from common.export import graphs, litert
from common.training import loop, optimizers

Route = Callable[[], object]

_NUM_LABELS = 12
_TRAINING_ROUNDS = 9
_INFERENCE_ROUNDS = 15
_CLIPS_PER_ROUND = 50
_TOLERANCE = 1e-4
_FOLDER = Path("runs/benchmarks")


class Network(NamedTuple):
    """A network to measure: its input, its PyTorch version, its training, and the number of steps in about a second."""

    shape: tuple[int, ...]
    peer: type[torch.nn.Module]
    config: TrainingConfig
    steps: int


NETWORKS = {
    "report_cnn": Network((44, 13), peers.ReportCNN, TrainingConfig(batch_size=64, optimizer="adam"), 60),
    "m5": Network((16_000,), peers.M5, TrainingConfig(batch_size=32, optimizer="adam"), 60),
    "bc_resnet": Network(
        (101, 40),
        peers.BCResNet,
        TrainingConfig(batch_size=100, optimizer="sgd", learning_rate=0.01, weight_decay=1e-3),
        10,
    ),
}


def main() -> None:
    """Measure, print one table and write it."""
    tf.config.threading.set_intra_op_parallelism_threads(NUM_THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(NUM_THREADS)
    warnings.filterwarnings("ignore", module="torch")
    rows = []
    for name, network in NETWORKS.items():
        print(f"{name}: compiling and measuring, takes some minutes", flush=True)
        rows += measure_training(name, network)
        rows += measure_inference(name, network)
    table = pd.DataFrame(rows)
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}, PyTorch {torch.__version__}"
    title = f"{versions}; {os.cpu_count()} cores, {NUM_THREADS} threads; medians, and the fastest and slowest round"
    with files.atomic_path(_FOLDER / "networks.csv") as temporary:
        table.to_csv(temporary, index=False)
    files.write_text(_FOLDER / "networks.md", f"{title}\n\n{markdown(table)}")
    print(title)
    print(table.to_string(index=False))
    print("ratio: median speed of ours divided by that of the route")
    print(f"written: {_FOLDER / 'networks.csv'}, {_FOLDER / 'networks.md'}")


def measure_training(name: str, network: Network) -> list[dict]:
    """Return one row per route with the training speed in examples per second."""
    rng = np.random.default_rng(0)
    batches = (network.steps, network.config.batch_size)
    inputs = rng.normal(0, 1, (*batches, *network.shape)).astype(np.float32)
    labels = rng.integers(0, _NUM_LABELS, batches)
    routes = {
        "ours": our_training(name, network, inputs, labels),
        "ours, mixed_bfloat16": our_training(name, network, inputs, labels, "mixed_bfloat16"),
    }
    torch.set_num_threads(NUM_THREADS)
    layouts = {"": torch.contiguous_format}
    if len(network.shape) == 2:
        layouts[", channels last"] = torch.channels_last
    for suffix, layout in layouts.items():
        routes[f"PyTorch eager{suffix}"] = their_training(network, inputs, labels, layout)
        routes[f"PyTorch compiled{suffix}"] = their_training(network, inputs, labels, layout, compiled=True)
    take_turns(routes, 2)  # traces, compiles, and settles
    rates = inputs.shape[0] * inputs.shape[1] / take_turns(routes, _TRAINING_ROUNDS)
    ratios = rates["ours"].median() / rates.median()
    return rows_of(f"{name}, training, batch {batches[1]}", "examples/s", rates, ratios)


def measure_inference(name: str, network: Network) -> list[dict]:
    """Return one row per route with the inference time of one clip in ms.

    Raises:
        ValueError: The output of a route differs from our Keras model.
    """
    clip = np.random.default_rng(0).normal(0, 1, (1, *network.shape)).astype(np.float32)
    model = build(name, network)
    routes = {}
    with tempfile.TemporaryDirectory() as folder:
        litert.write(
            model, graphs.probabilities_of(model, tf.TensorSpec(clip.shape, tf.float32)), Path(folder) / "model.tflite"
        )
        for num_threads in (1, NUM_THREADS):
            routes[_threads("ours, LiteRT", num_threads)] = our_inference(
                Path(folder) / "model.tflite", clip, num_threads
            )
            routes |= their_inference(network, model, clip, num_threads, Path(folder))
        expected = model(clip).numpy()
        for route, answer in routes.items():
            difference = np.abs(answer() - expected).max()
            if not difference <= _TOLERANCE:
                raise ValueError(f"{name}, {route}: the output differs from the Keras model by {difference:.2g}")
        repeated = {route: _repeat(answer) for route, answer in routes.items()}
        take_turns(repeated, 1)
        milliseconds = 1000 * take_turns(repeated, _INFERENCE_ROUNDS) / _CLIPS_PER_ROUND
    ours = milliseconds[[route for route in routes if route.startswith("ours")]].median().min()
    return rows_of(f"{name}, inference of one clip", "ms", milliseconds, milliseconds.median() / ours)


def rows_of(what: str, unit: str, values: pd.DataFrame, ratios: pd.Series) -> list[dict]:
    """Return the rows of the table, one per route; `values` has one column per route and one row per round."""
    return [
        {
            "what": what,
            "route": route,
            "unit": unit,
            "median": _figure(values[route].median()),
            "low": _figure(values[route].min()),
            "high": _figure(values[route].max()),
            "ratio": f"{ratios[route]:.2f}",
        }
        for route in values
    ]


def markdown(table: pd.DataFrame) -> str:
    """Format a table as Markdown."""
    rows = [table.columns, ["---"] * len(table.columns), *table.to_numpy()]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


def build(name: str, network: Network, precision: str = "float32") -> keras.Model:
    """Build our network with probabilities as output; the weights depend only on the network."""
    loop.prepare(TrainingConfig(precision=precision))
    inputs = keras.Input(network.shape)
    embedding = ENCODERS[name].build(inputs)
    model = keras.Model(inputs, keras.layers.Dense(_NUM_LABELS, activation="softmax", dtype="float32")(embedding))
    keras.config.set_dtype_policy("float32")
    return model


def our_training(
    name: str, network: Network, inputs: np.ndarray, labels: np.ndarray, precision: str = "float32"
) -> Route:
    """Return a function that trains our network on all batches once, as in the toolkit."""
    model = build(name, network, precision)
    model.compile(
        optimizers.build_optimizer(network.config, network.steps),
        keras.losses.CategoricalCrossentropy(),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=False,
        steps_per_execution=optimizers.steps_per_execution(network.steps),
    )
    targets = np.eye(_NUM_LABELS, dtype=np.float32)[labels]
    dataset = shards.finish(tf.data.Dataset.from_tensor_slices((inputs, targets)).repeat())
    return lambda: model.fit(dataset, steps_per_epoch=network.steps, verbose=0, shuffle=False)


def their_training(
    network: Network, inputs: np.ndarray, labels: np.ndarray, layout: torch.memory_format, *, compiled: bool = False
) -> Route:
    """Return a function that trains the PyTorch network on all batches once."""
    net = network.peer(_NUM_LABELS).to(memory_format=layout)
    config = network.config
    if config.optimizer == "adam":
        optimizer = torch.optim.Adam(net.parameters(), config.learning_rate, eps=1e-7, fused=True)
    else:
        decay = config.weight_decay
        optimizer = torch.optim.SGD(
            net.parameters(), config.learning_rate, momentum=0.9, weight_decay=decay, fused=True
        )
    forward = torch.compile(net) if compiled else net
    batches = list(zip(torch.from_numpy(inputs), torch.from_numpy(labels), strict=True))

    def train() -> tuple[float, int]:
        total, correct = torch.zeros(()), torch.zeros((), dtype=torch.long)
        for examples, classes in batches:
            optimizer.zero_grad()
            logits = forward(examples)
            loss = torch.nn.functional.cross_entropy(logits, classes)
            loss.backward()
            optimizer.step()
            total += loss.detach()
            correct += (logits.argmax(1) == classes).sum()
        return float(total), int(correct)

    return train


def our_inference(path: Path, clip: np.ndarray, num_threads: int) -> Route:
    """Return a function that runs a LiteRT file on one clip."""
    interpreter = Interpreter(model_path=str(path), num_threads=num_threads)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def answer() -> np.ndarray:
        interpreter.set_tensor(source, clip)
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return answer


def their_inference(
    network: Network, model: keras.Model, clip: np.ndarray, num_threads: int, folder: Path
) -> dict[str, Route]:
    """Return a function for each PyTorch runtime that runs the network, with the weights of `model`, on one clip."""
    torch.set_num_threads(num_threads)
    torch.compiler.reset()
    net = network.peer(_NUM_LABELS)
    peers.copy_weights(model, net)
    net = torch.nn.Sequential(net, torch.nn.Softmax(1)).eval()
    example = torch.from_numpy(clip)
    with torch.no_grad(), inductor.patch(freezing=True):
        script = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, example)))
        compiled = torch.compile(net)
        exported = torch.export.export(net, (example,))
        package = folder / f"{num_threads}.pt2"
        ahead = torch._inductor.aoti_load_package(
            torch._inductor.aoti_compile_and_package(exported, package_path=str(package))
        )
        runtimes = {"eager": net, "TorchScript": script, "compiled": compiled, "exported (AOTInductor)": ahead}
        for runtime in runtimes.values():
            runtime(example)

    def route(runtime: Callable) -> Route:
        def answer() -> np.ndarray:
            torch.set_num_threads(num_threads)
            with torch.no_grad():
                return runtime(example).numpy()

        return answer

    return {_threads(f"PyTorch {name}", num_threads): route(runtime) for name, runtime in runtimes.items()}


def _repeat(answer: Route) -> Route:
    def repeat() -> None:
        for _ in range(_CLIPS_PER_ROUND):
            answer()

    return repeat


def _threads(name: str, num_threads: int) -> str:
    return f"{name}, {num_threads} thread{'s' if num_threads > 1 else ''}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3f}"


if __name__ == "__main__":
    main()

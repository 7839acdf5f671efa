"""Train all four tasks for a few steps in every precision, with and without XLA, on one device and on several.

  python -m benchmarks.devices                          on all GPUs, or on the CPU if there are none
  python -m benchmarks.devices --logical_cpus=2         mirrored on a CPU divided into two devices
  python -m benchmarks.devices --variant=default --steps=100 --tasks=kws,counting

Corpora are synthetic; networks and pipelines are those of `train`. Each task and strategy runs in a separate process,
which is restarted after an error, so that a crash or a device in a bad state does not affect other rows. The table is
printed and written to runs/benchmarks/devices.csv.
"""

import dataclasses
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from absl import flags

import counting.config
import counting.data
import counting.training
import generation.config
import generation.data
import generation.training
import kws.config
import kws.data
import kws.training
import separation.config
import separation.data
import separation.training
from benchmarks.example_corpora import riffs, songs, voices, whistles
from common import config as configs
from common import errors, files
from common.cli import app
from common.distribution import strategy as distribution
from common.errors import UserError
from common.progress import bar
from common.training import loop, precision
from common.training.precision import Candidate

TASKS = {"kws": kws, "counting": counting, "separation": separation, "generation": generation}
STRATEGIES = ("single", "mirrored")
# The first step traces and compiles; the second one may still be slow.
_WARM_UP_STEPS = 2
_MOST_SECONDS = 900
_PATH = Path("runs/benchmarks/devices.csv")


class Cell(NamedTuple):
    """A row of the table: a task and the way to train it."""

    task: str
    strategy: str
    candidate: Candidate


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of all rows: folder of the corpora, variant, number of timed steps, and number of logical CPUs."""

    folder: Path
    variant: str
    steps: int
    logical_cpus: int


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    define = {"flag_values": flag_values}
    flags.DEFINE_list("tasks", list(TASKS), "tasks to train", **define)
    flags.DEFINE_string("variant", "tiny", "variant of the tasks: tiny or default", **define)
    flags.DEFINE_integer("steps", 20, "steps to time in each row", lower_bound=1, **define)
    flags.DEFINE_integer(
        "logical_cpus", 1, "number of logical CPU devices, for mirrored without GPUs", lower_bound=1, **define
    )


def main(flag_values: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Run every row, print the table and write it."""
    app.refuse_arguments(arguments)
    for task in flag_values.tasks:
        if task not in TASKS:
            raise UserError(f"--tasks: expected some of {', '.join(TASKS)}, got {task!r}")
    with tempfile.TemporaryDirectory() as folder:
        write_corpora(Path(folder))
        settings = Settings(Path(folder), flag_values.variant, flag_values.steps, flag_values.logical_cpus)
        table = pd.DataFrame(run(cells(flag_values.tasks), settings))
    with files.atomic_path(_PATH) as temporary:
        table.to_csv(temporary, index=False)
    print(
        f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {os.cpu_count()} CPU cores; --variant={flag_values.variant}"
    )
    print(table.to_string(index=False, na_rep="", max_colwidth=100))
    print(f"written: {_PATH}")


def cells(tasks: Sequence[str]) -> list[Cell]:
    """List the rows."""
    # All candidates: a row that fails on this machine shows the error.
    candidates = precision.candidates(has_gpu=True, has_bfloat16=True)
    return [Cell(task, strategy, one) for task in tasks for strategy in STRATEGIES for one in candidates]


def write_corpora(folder: Path) -> None:
    """Generate a small corpus for each task."""
    whistles.write_words(folder / "kws")
    voices.write_speakers(folder / "counting")
    songs.write_songs(folder / "separation")
    riffs.write_riffs(folder / "generation")


def run(
    remaining: Sequence[Cell],
    settings: Settings,
    work: Callable[[Connection, Sequence[Cell], Settings], None] | None = None,
) -> list[dict]:
    """Run rows in separate processes; return a dictionary for each, including failures.

    Args:
        remaining: The rows.
        settings: Their common settings.
        work: The function to run in the processes, which sends a dictionary for each row; `measure_all` by default.
    """
    rows: list[dict] = []
    context = multiprocessing.get_context("spawn")
    with bar(len(remaining), "training", "row") as meter:
        while len(rows) < len(remaining):
            first = remaining[len(rows)]
            group = [cell for cell in remaining[len(rows) :] if cell[:2] == first[:2]]
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=work or measure_all, args=(sender, group, settings))
            process.start()
            sender.close()
            for cell in group:
                rows.append(_named(cell) | _received(receiver, process))
                meter.update()
                if rows[-1]["error"]:
                    break
            else:
                process.join()
            process.kill()
            process.join()
    return rows


def _received(receiver: Connection, process: multiprocessing.process.BaseProcess) -> dict:
    if not receiver.poll(_MOST_SECONDS):
        return {"error": f"it took more than {_MOST_SECONDS} seconds"}
    try:
        return receiver.recv()
    except EOFError:
        process.join()
        return {"error": f"the process ended with code {process.exitcode}"}


def _named(cell: Cell) -> dict:
    return {
        "task": cell.task,
        "strategy": cell.strategy,
        "precision": cell.candidate.precision,
        "XLA": "yes" if cell.candidate.jit_compile else "no",
    }


def measure_all(sender: Connection, group: Sequence[Cell], settings: Settings) -> None:
    """Measure rows one after another, and send the results."""
    logging.getLogger().setLevel(logging.ERROR)
    if settings.logical_cpus > 1:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * settings.logical_cpus,
        )
    for cell in group:
        sender.send(measure(cell, settings))


def measure(cell: Cell, settings: Settings) -> dict:
    """Train some steps; return `devices`, `examples/s`, `loss`, and `error` (empty if there is none)."""
    found = {"devices": "", "examples/s": None, "loss": None, "error": ""}
    try:
        package = TASKS[cell.task]
        variants = package.config.VARIANTS
        if settings.variant not in variants:
            raise UserError(f"--variant: {cell.task} has no {settings.variant!r}, only {', '.join(variants)}")
        config = dataclasses.replace(
            variants[settings.variant],
            corpus="folder",
            data_dir=str(settings.folder / cell.task),
            precision=cell.candidate.precision,
            jit_compile=cell.candidate.jit_compile,
        )
        loop.prepare(config)
        scope = distribution.strategy(cell.strategy)
        with scope.scope():
            model, dataset = _built(cell.task, config, settings.folder / "shards")
            model.steps_per_execution = 1
            timing = precision.train_steps(model, dataset, _WARM_UP_STEPS + settings.steps)
        num_examples = len(tf.nest.flatten(next(iter(dataset)))[0])
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        found["devices"] = f"{scope.num_replicas_in_sync} {kind}"
        found["examples/s"] = round(num_examples / statistics.median(timing.seconds[_WARM_UP_STEPS:]), 1)
        found["loss"] = round(timing.loss, 4)
        found["error"] = "" if np.isfinite(timing.loss) else "the loss is NaN or infinite"
    except Exception as error:  # every failure is a row of the table
        found["error"] = f"{type(error).__name__}: {errors.reason(error)}"
    return found


def _built(task: str, config: configs.TrainingConfig, shards_dir: Path) -> tuple[keras.Model, tf.data.Dataset]:
    """Build the compiled network and the training batches of a task."""
    package = TASKS[task]
    corpus = package.data.load_corpus(config, shards_dir)
    config, split = corpus.config, package.data.prepare_split(corpus, "train")
    model = package.training.compiled_model(config, split)
    return model, package.data.build_dataset(config, split, training=True)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

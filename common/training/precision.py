"""`--precision=auto`: time training in each precision, with and without XLA, and choose the fastest.

The configured network is timed on batches of its training split. All candidates are traced and compiled first. They
then take turns, so that other load on the machine affects all of them equally, and the median step time counts. The
choice is stored in `config.json` for resumed runs and evaluations.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from common import config as configs
from common import errors
from common.config import AUTO, ConfigType
from common.data import shards
from common.distribution import workers
from common.errors import UserError
from common.log import logger
from common.training import loop
from common.training.options import Options

_CPU_INFO = Path("/proc/cpuinfo")
_NUM_BATCHES = 4
_WARM_UP_STEPS = 2
_ROUNDS = 4
_STEPS_PER_ROUND = 3
# A smaller speed-up is not worth the lower precision or the risk of XLA.
_LEAST_GAIN = 1.1


class Candidate(NamedTuple):
    """A precision, with or without XLA."""

    precision: str
    jit_compile: bool

    def __str__(self) -> str:
        """Return the name for the log."""
        return f"{self.precision}{' with XLA' if self.jit_compile else ''}"


class Timing(NamedTuple):
    """Duration of each step in seconds, and the mean loss."""

    seconds: list[float]
    loss: float


def resolve(
    config: ConfigType,
    folder: str | Path,
    task: str,
    build: Callable[[ConfigType, Any], keras.Model],
    batches: Callable[..., tf.data.Dataset],
    splits: Mapping[str, Any],
    options: Options,
) -> ConfigType:
    """Replace `--precision=auto` by the fastest precision, or by that of a resumed run; keep any other value.

    Call it in the scope of the distribution strategy of the training.

    Args:
        config: The configuration.
        folder: The run directory, which may not exist yet.
        task: Name of the task.
        build: Builds and compiles the network of a configuration for a training split.
        batches: Returns the batches of a configuration and a split, given `training=True`.
        splits: The splits by name; the one called `train` is used.
        options: Whether to resume an existing run, and whether to choose `jit_compile` too.

    Raises:
        UserError: No precision works, or the run directory cannot be read.
    """
    if config.precision != AUTO:
        return config
    # All workers use the precision of the chief's run, or the one that is fastest on average.
    path = workers.run_folder(folder, ("config.json",)) / "config.json"
    if options.resume and path.exists():
        saved = configs.load(type(config), task, path)
        chosen = Candidate(saved.precision, saved.jit_compile if options.tune_jit_compile else config.jit_compile)
    else:
        # XLA does not support several workers, and an attempt crashes at the end of the process.
        both = options.tune_jit_compile and workers.num_workers() == 1
        has_gpu = bool(tf.config.list_logical_devices("GPU"))
        # All workers have to time the same candidates.
        share = workers.mean_over_workers([np.array(float(has_gpu or cpu_has_bfloat16()))])[0]
        tried = candidates(has_gpu, share == 1, (False, True) if both else (config.jit_compile,))
        if len(tried) == 1:
            logger.info("precision: %s, since the CPU does not support bfloat16", tried[0])
            return dataclasses.replace(config, precision=tried[0].precision)
        logger.info("precision: timing %d candidates for a few training steps each", len(tried))
        train = splits["train"]
        seconds = measure(config, tried, lambda one: build(one, train), batches(config, train, training=True))
        rates = {one: config.batch_size / per_step for one, per_step in seconds.items()}
        chosen = choose(rates)
        listed = ", ".join(f"{one} {rate:,.1f}" for one, rate in rates.items())
        logger.info("precision: examples/s: %s; chosen: %s", listed, chosen)
    return dataclasses.replace(config, precision=chosen.precision, jit_compile=chosen.jit_compile)


def cpu_has_bfloat16() -> bool:
    """Whether the CPU has bfloat16 instructions; True if unknown.

    Without them, bfloat16 takes several times as long as float32, and timing it would waste a minute or two.
    """
    try:
        return "bf16" in _CPU_INFO.read_text()
    except OSError:
        return True


def candidates(has_gpu: bool, has_bfloat16: bool, jit_compile: Sequence[bool] = (False, True)) -> list[Candidate]:
    """List the candidates, most reliable first; float16 is for GPUs only."""
    precisions = ["float32", *(["mixed_bfloat16"] if has_bfloat16 else []), *(["mixed_float16"] if has_gpu else [])]
    return [Candidate(precision, compiled) for precision in precisions for compiled in jit_compile]


def choose(rates: dict[Candidate, float]) -> Candidate:
    """Return the first candidate that no other beats by 10 % or more.

    Args:
        rates: Examples per second of each candidate, in the order of `candidates` (most reliable first).

    Example:
        >>> choose({Candidate("float32", False): 100.0, Candidate("float32", True): 109.0}).jit_compile
        False
    """
    fastest = max(rates.values())
    return next(candidate for candidate, rate in rates.items() if fastest < _LEAST_GAIN * rate)


def measure(
    config: ConfigType,
    tried: Sequence[Candidate],
    build: Callable[[ConfigType], keras.Model],
    dataset: tf.data.Dataset,
) -> dict[Candidate, float]:
    """Return the median time of a training step in seconds for each candidate; failures are logged and left out.

    Raises:
        UserError: All candidates fail.
    """
    dataset = workers.training_batches(_in_memory(dataset))
    models: dict[Candidate, keras.Model] = {}
    reason = ""
    for candidate in tried:
        own = dataclasses.replace(config, precision=candidate.precision, jit_compile=candidate.jit_compile)
        loop.prepare(own)
        try:
            model = build(own)
            model.steps_per_execution = 1
            loss = train_steps(model, dataset, _WARM_UP_STEPS).loss
            reason = "" if np.isfinite(loss) else f"its loss is {loss}"
        except (tf.errors.OpError, ValueError, TypeError, NotImplementedError) as error:
            reason = errors.reason(error)
        if reason:
            logger.warning("precision: skipping %s: %s", candidate, reason)
        else:
            models[candidate] = model
    if not models:
        raise UserError(f"--precision=auto: training fails in all precisions; last error: {reason}")
    seconds: dict[Candidate, list[float]] = {candidate: [] for candidate in models}
    for _ in range(_ROUNDS):
        for candidate, model in models.items():
            # The first step after a switch is slow because of cold caches.
            seconds[candidate] += train_steps(model, dataset, 1 + _STEPS_PER_ROUND).seconds[1:]
    medians = workers.mean_over_workers([np.array(statistics.median(steps)) for steps in seconds.values()])
    return {candidate: float(median) for candidate, median in zip(seconds, medians, strict=True)}


def train_steps(model: keras.Model, dataset: tf.data.Dataset, num_steps: int) -> Timing:
    """Train a compiled model for some steps by `fit`, and time each execution."""
    stopwatch = _Stopwatch()
    history = model.fit(dataset, steps_per_epoch=num_steps, verbose=0, shuffle=False, callbacks=[stopwatch])
    return Timing(stopwatch.seconds, float(history.history["loss"][0]))


class _Stopwatch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self.begin = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        float(logs["loss"])  # waits for the device
        self.seconds.append(time.perf_counter() - self.begin)


def _in_memory(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Repeat a few batches from memory, since the speed of the input pipeline does not depend on the precision."""
    kept = list(dataset.take(_NUM_BATCHES))
    with tf.device("CPU:0"):
        stacked = tf.nest.map_structure(lambda *parts: tf.stack(parts), *kept)
        return shards.finish(tf.data.Dataset.from_tensor_slices(stacked).repeat())

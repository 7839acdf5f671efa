"""Callbacks of all trainings: throughput logging, and saving of the best weights and the backup."""

import time

import keras
import numpy as np

from common import files, runs
from common.runs import Run


class Throughput(keras.callbacks.Callback):
    """Add `examples_per_second` (without validation) and `learning_rate` to the logs of every epoch."""

    def __init__(self, examples_per_epoch: int):
        super().__init__()
        self.examples_per_epoch = examples_per_epoch

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the timer."""
        self.begin = time.perf_counter()
        self.end = None

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Stop the timer before validation."""
        self.end = self.end or time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add both values to the logs."""
        seconds = (self.end or time.perf_counter()) - self.begin
        logs["examples_per_second"] = self.examples_per_epoch / seconds
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


class CheckpointKeeper(keras.callbacks.Callback):
    """Save the weights of the best or last epoch, and back up the state after every epoch.

    The weights are written before the backup. If the process is killed between the two, the epoch is repeated and
    writes the same weights again.
    """

    def __init__(self, run: Run, monitor: str, mode: str, averages: keras.callbacks.Callback):
        """Select epochs by `monitor` and `mode`; `averages` is the callback that switches to the EMA weights."""
        super().__init__()
        self.run = run
        self.monitor = monitor
        self.sign = -1 if mode == "min" else 1
        self.averages = averages

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save the weights if they are better, and back up."""
        logs = {name: float(value) for name, value in logs.items()}
        value = self.sign * logs[self.monitor]
        better = value >= self.run.best or self.run.config.keep_epoch == "last"
        if better or not self.run.model_path.exists():
            self.run.best = value if np.isfinite(value) else self.run.best
            # Save the weights that were validated: the EMA weights, if there are any.
            self.averages.on_test_begin()
            with files.atomic_path(self.run.model_path) as temporary:
                self.model.save(temporary)
            self.averages.on_test_end()
        self.run.history.append({"epoch": epoch + 1, **logs, "restores": self.run.restores})
        self.run.restores = 0
        runs.save_state(self.run, self.model)

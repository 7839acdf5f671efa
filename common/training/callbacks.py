"""Callbacks of all trainings: throughput, time left, and saving of the best weights and the backup."""

import sys
import time

import keras
import numpy as np

from common import files, progress, runs
from common.log import logger
from common.runs import Run

# The time left is logged if it is longer than this, and in a log file not more often than this.
_SHORTEST_SECONDS, _LOG_INTERVAL_SECONDS = 10.0, 60.0


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


class TimeLeft(keras.callbacks.Callback):
    """Log the time left of the whole training before an epoch: on a terminal every epoch, else once a minute."""

    def __init__(self, num_epochs: int):
        super().__init__()
        self.num_epochs = num_epochs
        self.interval = 0.0 if sys.stderr.isatty() else _LOG_INTERVAL_SECONDS

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Forget the times of an earlier attempt."""
        self.begins: list[float] = []
        self.told = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Estimate the time left; Keras prints its own line of the epoch after this."""
        self.begins.append(time.perf_counter())
        # The first epoch takes longer, since the model is compiled in it.
        timed = self.begins[1:] if len(self.begins) > 2 else self.begins
        if len(timed) < 2 or timed[-1] - self.told < self.interval:
            return
        seconds = (timed[-1] - timed[0]) / (len(timed) - 1) * (self.num_epochs - epoch)
        if seconds >= _SHORTEST_SECONDS:
            self.told = timed[-1]
            logger.info("%d of %d epochs done, about %s left", epoch, self.num_epochs, progress.duration(seconds))


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

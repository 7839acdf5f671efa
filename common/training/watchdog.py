"""A watchdog for losses that explode or become NaN or infinite.

A loss explodes if its absolute value exceeds 1,000 times the largest one of ten or more executions ago (at least 1).
Normal losses are means of values around one: cross-entropies (at most 16, since probabilities are clipped), decibels
divided by ten, differences of waveforms within ±1, logits. None of these reaches a thousand. The logits of a
Wasserstein critic are unbounded, but do not grow a thousandfold within ten to a hundred steps. Negative losses and
steeply falling losses are normal, since only absolute values count. A slower explosion is found when the loss becomes
infinite.

Keras reports the mean loss since the start of the epoch, which hides single steps. The mean loss of one execution is
computed from it. A bad loss means that the weights are bad, possibly since the previous step, so that step is suspected
too. The weights are checked again before every backup.
"""

import collections
from collections.abc import Callable

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from common import runs
from common.errors import UserError
from common.files import tables
from common.log import logger

_EXPLOSION = 1000.0
_LATEST_EXECUTIONS = 10
_MOST_RESTORES = 3
# Waveforms and labels are within ±1, and far below this limit after mixing and amplification.
_LARGEST_INPUT = 1000.0
_NUM_NAMED = 3


class Fault(Exception):
    """Training failed in the steps `first` to `last` of an epoch, counted from 0."""

    def __init__(self, first: int, last: int, what: str):
        super().__init__(what)
        self.first = first
        self.last = last


class Watchdog(keras.callbacks.Callback):
    """Check the loss of every execution, and the weights before every backup; raise `Fault` if they are bad."""

    def __init__(self, run: runs.Run):
        """Create the callback; earlier losses are read from the history of the run."""
        super().__init__()
        self.largest = max([1.0, *(abs(row["loss"]) for row in run.history if np.isfinite(row["loss"]))])
        self.latest: collections.deque[float] = collections.deque()
        self.last_good = run.history[-1]["loss"] if run.history else float("nan")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Reset the step count and the sum of losses."""
        self.num_steps, self.total = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Check the loss of the steps since the last call."""
        first, self.num_steps = self.num_steps, self.num_steps + self.model.steps_per_execution
        before, self.total = self.total, float(logs["loss"]) * self.num_steps
        self.span = first, self.num_steps - 1
        loss = (self.total - before) / (self.num_steps - first)
        if not np.isfinite(loss):
            raise Fault(*self.span, f"the loss is {_named(loss)}; it {self._history()}")
        if len(self.latest) == _LATEST_EXECUTIONS:
            self.largest = max(self.largest, self.latest.popleft())
            if abs(loss) > _EXPLOSION * self.largest:
                raise Fault(*self.span, f"the loss explodes: it is {loss:.3g}, previously at most {self.largest:.3g}")
        self.last_good = loss
        self.latest.append(abs(loss))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Check the weights before the backup, since the last update comes after the last loss."""
        if not all(np.isfinite(np.asarray(variable)).all() for variable in runs.state_variables(self.model)):
            raise Fault(*self.span, f"some weights are NaN or infinite; the loss {self._history()}")

    def _history(self) -> str:
        return f"was {self.last_good:.3g} before" if np.isfinite(self.last_good) else "has been bad from the start"


def guard(
    fit: Callable[[], None],
    run: runs.Run,
    model: keras.Model,
    train: Callable[[int], tf.data.Dataset],
    steps_per_epoch: int,
    on_nan: str,
    batch_files: Callable[[int], list[str]],
) -> None:
    """Call `fit`, and stop or restore after a fault.

    With `restore`, training resumes from the last complete epoch and skips the bad batches, as for PaLM (Chowdhery et
    al. 2022, arXiv 2204.02311, section 5.1), at most three times without a complete epoch in between.

    Args:
        fit: Continues the training of the run, with a `Watchdog`.
        run: The run.
        model: The compiled model that `fit` trains, in the state of the run.
        train: Returns the training batches starting at the given number.
        steps_per_epoch: Number of batches per epoch.
        on_nan: `stop` or `restore`.
        batch_files: Returns the source files of each example of the training batch with the given number.

    Raises:
        UserError: Training failed and stops.
    """
    if on_nan == "restore" and not run.state_path.exists():
        runs.save_state(run, model)
    while True:
        try:
            return fit()
        except Fault as fault:
            report = _report(run, fault, train, steps_per_epoch, batch_files)
            if on_nan == "stop" or run.restores == _MOST_RESTORES:
                raise UserError(f"{report}; {_hint(run, on_nan)}") from fault
            runs.restore_state(run, model)
            run.skipped_batches += fault.last + 1
            run.clean_from = run.first_batch(steps_per_epoch)
            run.restores += 1
            # After an interruption, training must not see the bad batches again.
            runs.save_state(run, model)
            logger.warning(
                "%s; restored %s, resuming with other batches (--on_nan=restore, attempt %d of at most %d)",
                report,
                f"the end of epoch {run.epoch}" if run.epoch else "the initial state",
                run.restores,
                _MOST_RESTORES,
            )


def _report(
    run: runs.Run,
    fault: Fault,
    train: Callable[[int], tf.data.Dataset],
    steps_per_epoch: int,
    batch_files: Callable[[int], list[str]],
) -> str:
    """Describe a fault, and write the source files of the suspected batches to `bad_batches.csv`."""
    origin = run.first_batch(steps_per_epoch)
    steps = range(max(0, fault.first - 1), fault.last + 1)
    table = pd.DataFrame(
        [(run.epoch + 1, step + 1, *row) for step in steps for row in enumerate(batch_files(origin + step), 1)],
        columns=["epoch", "step", "example", "files"],
    )
    where = f"step {fault.last + 1}" if fault.first == fault.last else f"steps {fault.first + 1} to {fault.last + 1}"
    report = f"epoch {run.epoch + 1}, {where} of {steps_per_epoch}: {fault}"
    if table.empty:
        return report
    path = run.folder / "bad_batches.csv"
    known = [tables.read(path, encoding_errors="surrogateescape")] if path.exists() else []
    tables.write(pd.concat([*known, table]).drop_duplicates(), path)
    bad = [(step + 1, example + 1) for step in steps for example in _bad_examples(train, origin + step)]
    if bad:
        step, example = bad[0]
        sources = table["files"][(table["step"] == step) & (table["example"] == example)].iloc[0]
        return (
            f"{report}; example {example} of step {step} has values that are NaN, infinite or beyond"
            f" {_LARGEST_INPUT:g}: it was read from {sources} (all files of these batches are listed in {path})"
        )
    named = ", ".join(table["files"].drop_duplicates().head(_NUM_NAMED))
    return f"{report}; files of these steps and the one before: {named} and more, all listed in {path}"


def _bad_examples(train: Callable[[int], tf.data.Dataset], number: int) -> list[int]:
    """List the examples of a batch with values that are NaN, infinite or very large."""
    batch = tf.nest.flatten(next(iter(train(number))))
    parts = [np.asarray(part).reshape(len(part), -1) for part in batch]
    # Comparisons with NaN are false.
    good = np.all([(np.abs(part) <= _LARGEST_INPUT).all(axis=1) for part in parts], axis=0)
    return np.flatnonzero(~good).tolist()


def _hint(run: runs.Run, on_nan: str) -> str:
    """Suggest a fix; a changed configuration needs another run."""
    gentler = f"a smaller --learning_rate (now {run.config.learning_rate:g})"
    if run.config.precision != "float32":
        gentler += " or --precision=float32"
    start_over = f"start over (--noresume, or another --run_dir) with {gentler}"
    if on_nan == "restore":
        return f"{_MOST_RESTORES} attempts with other batches failed: {start_over}"
    saved = f"epoch {run.epoch} is saved" if run.epoch else "no epoch is complete"
    return f"{saved}; the same command with --on_nan=restore resumes with other batches; or {start_over}"


def _named(value: float) -> str:
    return "NaN" if np.isnan(value) else "infinite"

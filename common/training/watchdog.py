"""A watchdog for losses that are not numbers and for losses that explode.

A loss counts as exploded when it is 1,000 times as large as any that lies ten executions of steps or more back, of which a
size below 1 counts as 1. Here losses are means of figures around one: cross-entropies (at most 16, of probabilities that
are clipped), decibels divided by ten, differences of waveforms within ±1, logits. None of these can become a thousand.
The logits of a Wasserstein critic, which have no bounds, grow for as long as they like, but not a thousandfold within ten
to a hundred steps. Sizes count without their signs, so negative losses and losses that fall steeply are ordinary. What
explodes more slowly is found when it gets to infinity.

Keras reports the mean since the beginning of the epoch, in which a single step drowns; the mean of the steps of one
execution is calculated back from it. The first bad loss tells that the weights are bad, which the step before may have
done; so that one is suspected too, and the weights are looked at once more before they are backed up.
"""

import collections
import logging
from collections.abc import Callable

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from common import runs
from common.errors import UserError
from common.files import tables

_EXPLOSION = 1000.0
_LATEST_EXECUTIONS = 10
_MOST_RESTORES = 3
# Waveforms are within ±1 and so are labels; mixed and amplified they stay far below this.
_LARGEST_INPUT = 1000.0
_NUM_NAMED = 3


class Fault(Exception):
    """Training went wrong in the steps `first` to `last` of an epoch, which count from 0."""

    def __init__(self, first: int, last: int, what: str):
        super().__init__(what)
        self.first = first
        self.last = last


class Watchdog(keras.callbacks.Callback):
    """Look at the loss of every execution of steps, and at all that is backed up; raise `Fault` where it went wrong."""

    def __init__(self, run: runs.Run):
        """Watch the training of a run, whose earlier losses are known."""
        super().__init__()
        self.largest = max([1.0, *(abs(row["loss"]) for row in run.history if np.isfinite(row["loss"]))])
        self.latest: collections.deque[float] = collections.deque()
        self.last_good = run.history[-1]["loss"] if run.history else float("nan")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Begin to count steps."""
        self.num_steps, self.total = 0, 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Look at the loss of the steps since the last call."""
        first, self.num_steps = self.num_steps, self.num_steps + self.model.steps_per_execution
        before, self.total = self.total, float(logs["loss"]) * self.num_steps
        self.span = first, self.num_steps - 1
        loss = (self.total - before) / (self.num_steps - first)
        if not np.isfinite(loss):
            raise Fault(*self.span, f"the loss is {_named(loss)}, {self._so_far()}")
        if len(self.latest) == _LATEST_EXECUTIONS:
            self.largest = max(self.largest, self.latest.popleft())
            if abs(loss) > _EXPLOSION * self.largest:
                raise Fault(*self.span, f"the loss explodes: it is {loss:.3g}, where it was {self.largest:.3g} at most")
        self.last_good = loss
        self.latest.append(abs(loss))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Look at what is about to be backed up: the last update comes after the last loss."""
        if not all(np.isfinite(np.asarray(variable)).all() for variable in runs.state_variables(self.model)):
            raise Fault(*self.span, f"weights are not numbers any more, {self._so_far()}")

    def _so_far(self) -> str:
        return f"it was {self.last_good:.3g} before" if np.isfinite(self.last_good) else "from the beginning"


def guard(
    fit: Callable[[], None],
    run: runs.Run,
    model: keras.Model,
    train: Callable[[int], tf.data.Dataset],
    steps_per_epoch: int,
    on_nan: str,
    batch_files: Callable[[int], list[str]],
) -> None:
    """Call `fit`, and answer a fault as told.

    With `restore` training goes back to the last complete epoch and on with the batches behind the bad ones, as that of PaLM
    did (Chowdhery et al. 2022, arXiv 2204.02311, section 5.1), at most three times without a complete epoch in between.

    Args:
        fit: Trains from where the run stands, under a `Watchdog`.
        run: The run.
        model: The compiled model that `fit` trains, in the state of the run.
        train: Gives the training batches from a number on.
        steps_per_epoch: Batches of an epoch.
        on_nan: `stop` or `restore`.
        batch_files: Says what each example of the training batch of a number was read from.

    Raises:
        UserError: Training went wrong and stops.
    """
    if on_nan == "restore" and not run.state_path.exists():
        runs.save_state(run, model)
    while True:
        try:
            return fit()
        except Fault as fault:
            report = _report(run, fault, train, steps_per_epoch, batch_files)
            if on_nan == "stop" or run.restores == _MOST_RESTORES:
                raise UserError(f"{report}; {_way_out(run, on_nan)}") from fault
            runs.restore_state(run, model)
            run.skipped_batches += fault.last + 1
            run.clean_from = run.first_batch(steps_per_epoch)
            run.restores += 1
            # Interrupted now, training must not meet the bad batches again.
            runs.save_state(run, model)
            logging.warning(
                "%s; back to %s and on with other batches (--on_nan=restore, %d of at most %d times)",
                report,
                f"the end of epoch {run.epoch}" if run.epoch else "the beginning",
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
    """Say what went wrong where, and write all that was read there to `bad_batches.csv`."""
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
        made_of = table["files"][(table["step"] == step) & (table["example"] == example)].iloc[0]
        return (
            f"{report}; example {example} of step {step} has values that are not numbers or beyond"
            f" {_LARGEST_INPUT:g}: it was made of {made_of} (all that was read is in {path})"
        )
    named = ", ".join(table["files"].drop_duplicates().head(_NUM_NAMED))
    return f"{report}; read there or one step before: {named} and more, all in {path}"


def _bad_examples(train: Callable[[int], tf.data.Dataset], number: int) -> list[int]:
    """List the examples of a batch that hold anything but ordinary numbers."""
    batch = tf.nest.flatten(next(iter(train(number))))
    parts = [np.asarray(part).reshape(len(part), -1) for part in batch]
    # What is not a number is not smaller than anything.
    good = np.all([(np.abs(part) <= _LARGEST_INPUT).all(axis=1) for part in parts], axis=0)
    return np.flatnonzero(~good).tolist()


def _way_out(run: runs.Run, on_nan: str) -> str:
    """Say what the user can do; other values of the configuration are another run."""
    gentler = f"a smaller --learning_rate (now {run.config.learning_rate:g})"
    if run.config.precision != "float32":
        gentler += " or --precision=float32"
    start_over = f"start over (--noresume, or another --run_dir) with {gentler}"
    if on_nan == "restore":
        return f"other batches did not help {_MOST_RESTORES} times: {start_over}"
    kept = f"epoch {run.epoch} is kept, and from there" if run.epoch else "no epoch is complete;"
    return f"{kept} the same command with --on_nan=restore goes on with other batches; or {start_over}"


def _named(value: float) -> str:
    return "not a number" if np.isnan(value) else "infinite"

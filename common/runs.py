"""The run directory: all files of a training, and how to resume it after an interruption.

| file | content |
|---|---|
| `config.json` | task, variant and every field of the configuration |
| `corpus.json` | number of recordings per split and label, and a digest of their names and sizes |
| `history.csv` | one row per epoch |
| `model.keras` | the weights of the best epoch, or with `--keep_epoch=last` of the last |
| `embedding/` | with `--model=embedding`: the pretrained embedding network |
| `metrics.json` | metrics on the test split; written last, so the run is complete if it exists |
| `rejected.csv` | recordings that could not be used, with the reason |
| `excerpts.npz` | some test excerpts, so that `export` needs no corpus |
| `bad_batches.csv` | only if a loss was not a number: the content of those batches |
| `tensorboard/` | TensorBoard logs |
| `backup/` | the state after the last epoch; removed when the run completes |
"""

import contextlib
import dataclasses
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from common import config as configs
from common import files, run_folders
from common.corpora import fingerprint
from common.distribution import workers
from common.errors import UserError
from common.files import arrays, locks, tables, weights
from common.log import logger

# Files with the progress of a run, which workers copy from the chief.
_SHARED = ("config.json", "metrics.json", "model.keras", "backup/state.npz")
# Counters in a backup, in addition to the history, the best value and the state of the model.
_COUNTS = ("skipped_batches", "restores", "clean_from")


@dataclasses.dataclass
class Run:
    """A run directory in training.

    Attributes:
        folder: The run directory.
        config: The configuration, as saved.
        history: Logs of each complete epoch, as dictionaries.
        best: Best value so far of the metric that selects the epoch to keep.
        skipped_batches: Number of training batches skipped because of bad losses.
        restores: Number of restores after bad losses since the last complete epoch.
        clean_from: Index of the training batch after the last skipped one.
    """

    folder: Path
    config: configs.TrainingConfig
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best: float = float("-inf")
    skipped_batches: int = 0
    restores: int = 0
    clean_from: int = 0

    @property
    def epoch(self) -> int:
        """Number of complete epochs."""
        return len(self.history)

    def first_batch(self, steps_per_epoch: int) -> int:
        """Return the index of the first batch of the next epoch in the training stream."""
        return self.skipped_batches + self.epoch * steps_per_epoch

    @property
    def model_path(self) -> Path:
        """Path of the weights of the best epoch."""
        return self.folder / "model.keras"

    @property
    def metrics_path(self) -> Path:
        """The metrics, which complete the run."""
        return self.folder / "metrics.json"

    @property
    def state_path(self) -> Path:
        """The state after the last epoch; a single file, so that its parts are consistent."""
        return self.folder / "backup" / "state.npz"

    @property
    def complete(self) -> bool:
        """Whether training and the final evaluation are done."""
        return self.metrics_path.exists()


def check_folder(folder: str | Path) -> None:
    """Check that a training can use a run directory, before the corpus is prepared.

    A complete run is only read, and workers other than the chief use another directory.

    Raises:
        UserError: It cannot be written to, is a file, is in use by another process, or contains files that would be
            overwritten although it is not a run.
    """
    folder = Path(folder)
    if workers.worker_index():
        return
    run_folders.check_usable(folder)
    if not (folder / "metrics.json").exists():
        locks.acquire(folder)


def start(
    folder: str | Path,
    config: configs.TrainingConfig,
    task: str,
    variant: str,
    resume: bool = True,
    manifest: pd.DataFrame | None = None,
) -> Run:
    """Open a new or existing run directory.

    Args:
        folder: The run directory.
        config: The configuration to train.
        task: Name of the task.
        variant: The variant on which the configuration is based.
        resume: Whether to resume an existing run; otherwise it is renamed and a new run starts.
        manifest: The corpus; a resumed run warns if it has changed since the run began.

    Returns:
        The run; workers other than the chief get a copy of the run of the chief.

    Raises:
        UserError: The folder contains a run of another configuration or task, or other files, cannot be written to, or
            is in use by another process.
    """
    folder = Path(folder)
    if not workers.worker_index():
        if not resume or not (folder / "metrics.json").exists():
            locks.acquire(folder)
        run = _open(folder, config, task, variant, resume)
        if manifest is not None and not run.complete:
            _compare_corpus(run, fingerprint.take(manifest))
    folder = workers.run_folder(folder, _SHARED)
    return _open(folder, config, task, variant) if workers.worker_index() else run


def _open(folder: Path, config: configs.TrainingConfig, task: str, variant: str, resume: bool = True) -> Run:
    config_path = folder / "config.json"
    if config_path.exists() and not resume:
        renamed = folder.with_name(f"{folder.name}.{time.strftime('%Y%m%d-%H%M%S')}")
        folder.rename(renamed)
        logger.info("renamed the earlier run to %s", renamed)
    if not config_path.exists():
        configs.save(config, task, variant, config_path)
        return Run(folder, config)
    run_folders.refuse_changes(folder, configs.load(type(config), task, config_path), config)
    return _load_progress(Run(folder, config))


def _compare_corpus(run: Run, now: dict) -> None:
    """Save the fingerprint of the corpus of a new run; warn about changes in a resumed run."""
    path = run.folder / "corpus.json"
    if not run.state_path.exists():
        files.write_json(path, now)
    elif path.exists():
        changes = fingerprint.difference(files.read_json(path, "delete it"), now)
        if changes:
            logger.warning(
                "%s: the corpus has changed since this run began (%s); training continues with the current corpus, use"
                " --noresume to start over",
                run.folder,
                changes,
            )


def _load_progress(run: Run) -> Run:
    if run.complete:
        # The last training may have been killed before it removed the backup.
        _remove_backup(run)
    elif run.state_path.exists():
        try:
            progress = json.loads(str(_read_state(run.state_path)["progress"]))
            run.history, run.best = [dict(logs) for logs in progress["history"]], float(progress["best"])
            for name in _COUNTS:
                setattr(run, name, int(progress.get(name, 0)))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise _damaged_backup(run.state_path, error) from error
        # The last training may have been killed between writing the state and the history.
        _write_history(run)
        if run.epoch:
            logger.info("%s: resuming after epoch %d", run.folder, run.epoch)
    return run


def _remove_backup(run: Run) -> None:
    shutil.rmtree(run.state_path.parent, ignore_errors=True)


def _write_history(run: Run) -> None:
    if run.history:
        with files.atomic_path(run.folder / "history.csv") as temporary:
            pd.DataFrame(run.history).to_csv(temporary, index=False)


def save_state(run: Run, model: keras.Model) -> None:
    """Back up weights, optimizer, random states and progress after an epoch, and write `history.csv`."""
    arrays = {f"variable_{index:05d}": np.asarray(value) for index, value in enumerate(state_variables(model))}
    progress = json.dumps({name: getattr(run, name) for name in ("history", "best", *_COUNTS)})
    with files.atomic_path(run.state_path) as temporary:
        np.savez(temporary, progress=np.array(progress), **arrays)
    _write_history(run)


def restore_state(run: Run, model: keras.Model) -> None:
    """Restore a compiled model exactly to the state of `save_state`; does nothing for a new run.

    Raises:
        UserError: The backup is damaged or belongs to another network.
    """
    if not run.state_path.exists():
        return
    arrays = _read_state(run.state_path)
    variables = state_variables(model)
    values = [arrays[name] for name in sorted(arrays) if name.startswith("variable_")]
    if [value.shape for value in values] != [tuple(variable.shape) for variable in variables]:
        raise UserError(
            f"{run.state_path} belongs to another network; use another --run_dir, or --noresume to start over"
        )
    for variable, value in zip(variables, values, strict=True):
        try:
            variable.assign(value)
        except (ValueError, TypeError) as error:
            raise _damaged_backup(run.state_path, error) from error


def write_rejected(run: Run, rejected: list[pd.DataFrame]) -> None:
    """Write `rejected.csv`: the recordings that could not be used, with the reason."""
    tables.write(pd.concat(rejected), run.folder / "rejected.csv")


def read_metrics(run: Run) -> dict[str, Any]:
    """Read the metrics of a complete run.

    Raises:
        UserError: The file is damaged.
    """
    hint = "delete it to create it again"
    metrics = files.read_json(run.metrics_path, hint)
    if not isinstance(metrics, dict):
        raise UserError(f"{run.metrics_path} does not map names to metrics; {hint}")
    return metrics


def read_history(folder: str | Path) -> pd.DataFrame:
    """Read `history.csv` of a run: one row per epoch, all columns numeric.

    Raises:
        UserError: The file is missing or damaged.
    """
    path = Path(folder) / "history.csv"
    try:
        return tables.read(path).astype(float)
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"cannot read {path}: {error}; train again with another --run_dir") from error


def finish(run: Run, metrics: dict[str, Any]) -> None:
    """Write `metrics.json`, which completes the run, and remove the backup."""
    files.write_json(run.metrics_path, metrics)
    _remove_backup(run)
    locks.release(run.folder)


@contextlib.contextmanager
def in_float32() -> Iterator[None]:
    """Set the dtype policy of Keras to float32 in the block, and restore it afterwards."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def rebuilding(folder: str | Path) -> Iterator[None]:
    """Convert errors of Keras about an invalid network configuration to one line.

    The values of `config.json` are checked one by one; whether the layers fit together shows only in Keras.

    Raises:
        UserError: The network cannot be built.
    """
    try:
        yield
    except (
        ArithmeticError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
        tf.errors.OpError,
    ) as error:
        raise UserError(
            f"cannot rebuild the network of {folder}: {error or type(error).__name__}; its config.json is damaged:"
            " train again with another --run_dir"
        ) from error


def load_weights(model: keras.Model, folder: str | Path) -> None:
    """Load the weights of the best epoch into a model rebuilt from the configuration of the run.

    Only numbers are read; no code from the run directory is executed.

    Raises:
        UserError: The file is missing, damaged, or belongs to another network.
    """
    path = run_folders.weights_of(folder)
    try:
        weights.check(path)
        model.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot load {path}: {error}; train again with another --run_dir") from error


def build_optimizer(model: keras.Model) -> None:
    """Build the variables of the optimizer once: the LossScaleOptimizer of Keras adds more at every build."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def state_variables(model: keras.Model) -> list[keras.Variable]:
    """Return all variables of training: weights, statistics, random states (dropout, masks), optimizer state."""
    if hasattr(model, "optimizers"):
        # Adversarial networks have one optimizer each, already built.
        optimizers = model.optimizers()
    else:
        build_optimizer(model)
        optimizers = [model.optimizer]
    return [*model.variables, *(variable for optimizer in optimizers for variable in optimizer.variables)]


def _read_state(path: Path) -> dict[str, np.ndarray]:
    try:
        return arrays.read(path)
    except ValueError as error:
        raise _damaged_backup(path, error) from error


def _damaged_backup(path: Path, error: Exception) -> UserError:
    return UserError(f"cannot read the backup {path}: {error}; --noresume starts over")

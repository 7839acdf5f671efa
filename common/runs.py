"""The run directory: everything that one training leaves behind, and how it goes on after an interruption.

| file | what |
|---|---|
| `config.json` | task, variant and every field of the configuration |
| `corpus.json` | how many recordings there were of each split and label, and a digest of their names and sizes |
| `history.csv` | a row an epoch |
| `model.keras` | the weights of the best epoch, or with `--keep_epoch=last` of the last |
| `embedding/` | with `--model=embedding`: the network that was taken over |
| `metrics.json` | figures on the test split; written last, so where it exists the run is complete |
| `rejected.csv` | recordings that could not be used, with the reason |
| `bad_batches.csv` | only where a loss was not a number: what the batches there were made of |
| `tensorboard/` | what TensorBoard shows |
| `backup/` | the state after the last epoch; removed when the run completes |
"""

import contextlib
import dataclasses
import json
import logging
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
from common import files
from common.corpora import fingerprint
from common.distribution import workers
from common.errors import UserError
from common.files import arrays, locks, tables, weights

# What says how far a run is.
_SHARED = ("config.json", "metrics.json", "model.keras", "backup/state.npz")
# What a training would write over, if it began in a folder of somebody else.
_REPLACED = (
    *("metrics.json", "corpus.json", "threshold.json", "history.csv", "history.png", "model.keras", "rejected.csv"),
    *("example.wav", "example", "samples", "backup", "tensorboard", "embedding", "teachers"),
)
# What a backup counts, beside the history, the best figure and the state of the model.
_COUNTS = ("skipped_batches", "restores", "clean_from")


@dataclasses.dataclass
class Run:
    """A run directory being trained.

    Attributes:
        folder: The run directory.
        config: The configuration, as saved.
        history: A dictionary of logs for each epoch that is complete and backed up.
        best: The best value so far of the metric that chooses the epoch to keep.
        skipped_batches: How many training batches were passed over because losses went wrong there.
        restores: How often that happened since the last complete epoch.
        clean_from: The training batch behind the last of those.
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
        """How many epochs are complete."""
        return len(self.history)

    def first_batch(self, steps_per_epoch: int) -> int:
        """Return which batch of the training stream the next epoch begins with."""
        return self.skipped_batches + self.epoch * steps_per_epoch

    @property
    def model_path(self) -> Path:
        """The weights of the best epoch."""
        return self.folder / "model.keras"

    @property
    def metrics_path(self) -> Path:
        """The figures that complete the run."""
        return self.folder / "metrics.json"

    @property
    def state_path(self) -> Path:
        """The state after the last epoch: one file, so that its parts always belong together."""
        return self.folder / "backup" / "state.npz"

    @property
    def complete(self) -> bool:
        """Whether training and the final evaluation are done."""
        return self.metrics_path.exists()


def check_folder(folder: str | Path) -> None:
    """Refuse a run directory that a training cannot write to or another process trains, before corpora are made for it.

    A complete one is only read, and workers that are not the chief have another.

    Raises:
        UserError: It cannot be written to, or is a file, or holds files of no run that would be replaced, or another
            process trains it.
    """
    folder = Path(folder)
    if workers.worker_index():
        return
    there = [name for name in _REPLACED if (folder / name).exists()] + [path.name for path in folder.glob("test_*.*")]
    if there and not (folder / "config.json").exists():
        raise UserError(f"{folder / there[0]} is there, and of no run: config.json is missing; give another --run_dir")
    if not (folder / "metrics.json").exists():
        files.check_writable(folder)
        locks.acquire(folder)


def start(
    folder: str | Path,
    config: configs.TrainingConfig,
    task: str,
    variant: str,
    resume: bool = True,
    manifest: pd.DataFrame | None = None,
) -> Run:
    """Open a run directory: a new one, or one that an earlier call of the same command left.

    Args:
        folder: The run directory.
        config: The configuration to train.
        task: The task's name.
        variant: The variant that the configuration started from.
        resume: Whether to go on with what is there; otherwise it is moved aside and a new run starts.
        manifest: What is trained on: where a run goes on, a warning says what has changed since it began.

    Returns:
        The run; of several workers, those that are not the chief get a copy of the chief's, which goes with them.

    Raises:
        UserError: The folder holds a run of another configuration or task, or other files, or cannot be written, or
            another process trains it.
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
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--run_dir: {folder} is a file; give a folder")
    if config_path.exists() and not resume:
        aside = folder.with_name(f"{folder.name}.{time.strftime('%Y%m%d-%H%M%S')}")
        folder.rename(aside)
        logging.info("the earlier run was moved to %s", aside)
    if not config_path.exists():
        configs.save(config, task, variant, config_path)
        return Run(folder, config)
    saved = configs.to_dict(configs.load(type(config), task, config_path))
    wanted = configs.to_dict(config)
    changes = [f"{name}={saved[name]} (now {wanted[name]})" for name in wanted if saved[name] != wanted[name]]
    if changes:
        raise UserError(
            f"{folder} was trained with {', '.join(changes)}; give another --run_dir, the same flags, or --noresume to start over"
        )
    return _load_progress(Run(folder, config))


def _compare_corpus(run: Run, now: dict) -> None:
    """Keep what a new run is trained on, and say what has changed where one goes on."""
    path = run.folder / "corpus.json"
    if not run.state_path.exists():
        files.write_json(path, now)
    elif path.exists():
        changes = fingerprint.difference(files.read_json(path, "delete it"), now)
        if changes:
            logging.warning(
                "%s: the corpus has changed since this run began (%s); training goes on with what is there now, --noresume"
                " starts over",
                run.folder,
                changes,
            )


def _load_progress(run: Run) -> Run:
    if run.complete:
        # The last training may have been killed before it came to this.
        _remove_backup(run)
    elif run.state_path.exists():
        try:
            progress = json.loads(str(_read_state(run.state_path)["progress"]))
            run.history, run.best = [dict(logs) for logs in progress["history"]], float(progress["best"])
            for name in _COUNTS:
                setattr(run, name, int(progress.get(name, 0)))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise _damaged_backup(run.state_path, error) from error
        # Or between the state and the table.
        _write_history(run)
        if run.epoch:
            logging.info("%s: going on after epoch %d", run.folder, run.epoch)
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
    """Put a compiled model back to where `save_state` left it, bit for bit; a new run is left as it is.

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
            f"{run.state_path} belongs to another network; give another --run_dir or --noresume to start over"
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
    """Read the figures of a complete run.

    Raises:
        UserError: The file is damaged.
    """
    way_out = "delete it to have it made again"
    metrics = files.read_json(run.metrics_path, way_out)
    if not isinstance(metrics, dict):
        raise UserError(f"{run.metrics_path} holds no figures by name; {way_out}")
    return metrics


def read_history(folder: str | Path) -> pd.DataFrame:
    """Read `history.csv` of a run: a row an epoch, all of it numbers.

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
    """Build in float32 what is built inside, and leave Keras' own precision as it was."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def rebuilding(folder: str | Path) -> Iterator[None]:
    """Turn what Keras says of a configuration that no network can be built from into one line.

    Each value of a `config.json` is checked where it is declared; whether layers fit together only Keras knows.

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
    """Load the best epoch's weights into a model that was rebuilt from the run's configuration.

    Only numbers are read: nothing stored in the run directory is executed.

    Raises:
        UserError: The file is missing, damaged, or belongs to another network.
    """
    path = Path(folder) / "model.keras"
    if not path.exists():
        raise UserError(f"{path} does not exist: the run has not completed an epoch yet; train it first")
    try:
        weights.check(path)
        model.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"cannot load {path}: {error}; train again with another --run_dir") from error


def build_optimizer(model: keras.Model) -> None:
    """Give the optimizer its variables, once: Keras' LossScaleOptimizer adds more whenever it is built."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def state_variables(model: keras.Model) -> list[keras.Variable]:
    """Return all that training changes: weights, statistics, random states (dropout, masks), and the optimizer's."""
    if hasattr(model, "optimizers"):
        # Of networks that play against each other each has its own, built with them.
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

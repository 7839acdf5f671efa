"""Trained runs: loaded to be used, or trained."""

import dataclasses
import importlib
from pathlib import Path
from typing import Any

from common import config as configs
from common import files
from common.errors import UserError, nearest
from common.training.options import Options

TASKS = ("kws", "counting", "separation", "generation")


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run directory whose training is complete.

    Attributes:
        task: `kws`, `counting`, `separation` or `generation`.
        folder: The run directory.
        config: What was trained: the task's `Config`.
        metrics: What it reaches on the test split: the task's `evaluation.Metrics`.
    """

    task: str
    folder: Path
    config: configs.TrainingConfig = dataclasses.field(repr=False)
    metrics: Any

    def load(self, **options: Any) -> Any:
        """Load it, as `quartet.load` does."""
        return load(self.folder, **options)


def load(run_dir: str | Path, **options: Any) -> Any:
    """Load a trained run, ready to use.

    Args:
        run_dir: The run directory that training left, such as `runs/kws/default`.
        **options: What the task can do otherwise than it was trained: `threshold` for keyword spotting, `overlap` and
            `wiener_iterations` for separation, `epoch` for generation.

    Returns:
        By the task of the run a `kws.inference.KeywordSpotter`, `counting.inference.SpeakerCounter`,
        `separation.inference.StemSeparator` or `generation.inference.MusicGenerator`.

    Raises:
        UserError: The folder is no complete run.
        TypeError: The task has no such option.

    Example:
        >>> load("runs/kws/default").predict("clip.wav").word        # doctest: +SKIP
        'no'
    """
    return _models(task_of(run_dir)).load_for_inference(run_dir, **options)


def train(
    task: str,
    config: configs.TrainingConfig | None = None,
    run_dir: str | Path | None = None,
    *,
    variant: str = "default",
    options: Options | None = None,
) -> TrainedRun:
    """Train a run, or go on with one that was interrupted; one that is complete is left as it is.

    Args:
        task: `kws`, `counting`, `separation` or `generation`.
        config: What to train, for example `dataclasses.replace(kws.config.VARIANTS["default"], epochs=5)`; the variant as
            it is unless given.
        run_dir: The run directory; `runs/<task>/<variant>` unless given.
        variant: The named configuration that it starts from.
        options: How to train: where decoded recordings are kept, whether a corpus is fetched, and more.

    Returns:
        The run, with its metrics on the test split.

    Raises:
        UserError: The recordings, the configuration or the folder cannot be used.
    """
    _check(task)
    variants = importlib.import_module(f"{task}.config").VARIANTS
    if variant not in variants:
        raise UserError(f"variant: there is no {variant!r}, only {', '.join(variants)}.{nearest(variant, variants)}")
    from common import runs
    from common.distribution import strategy
    from common.training import session

    training, evaluation = (importlib.import_module(f"{task}.{name}") for name in ("training", "evaluation"))
    folder = configs.expanded(str(run_dir or f"runs/{task}/{variant}"))
    with strategy.scope("auto"), session.restored():
        run, _ = training.train_run(config or variants[variant], folder, variant, options or Options())
    return TrainedRun(task, Path(run.folder), run.config, evaluation.Metrics.of(runs.read_metrics(run)))


def task_of(run_dir: str | Path) -> str:
    """Return which task a run directory is of.

    Raises:
        UserError: It is no run directory.
    """
    path = Path(configs.expanded(str(run_dir))) / "config.json"
    try:
        saved = files.read_json(path, "train again in another folder")
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; expected a folder that training left") from error
    task = saved.get("task") if isinstance(saved, dict) else None
    if task not in TASKS:
        raise UserError(f"{path} belongs to no task of {', '.join(TASKS)}; expected a folder that training left")
    return task


def _check(task: str) -> None:
    if task not in TASKS:
        raise UserError(f"task: there is no {task!r}, only {', '.join(TASKS)}.{nearest(task, TASKS)}")


def _models(task: str) -> Any:
    return importlib.import_module(f"{task}.models")

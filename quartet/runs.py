"""Load trained runs, or train new ones."""

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
    """A run whose training is complete.

    Attributes:
        task: `kws`, `counting`, `separation` or `generation`.
        folder: The run directory.
        config: The configuration, the task's `Config`.
        metrics: The metrics on the test split, the task's `evaluation.Metrics`.
    """

    task: str
    folder: Path
    config: configs.TrainingConfig = dataclasses.field(repr=False)
    metrics: Any

    def load(self, **options: Any) -> Any:
        """Load the model; see `quartet.load`."""
        return load(self.folder, **options)


def load(run_dir: str | Path, **options: Any) -> Any:
    """Load a trained run for inference.

    Args:
        run_dir: The run directory, e.g. `runs/kws/default`.
        **options: Inference options of the task: `threshold` for keyword spotting, `overlap` and `wiener_iterations`
            for separation, `epoch` for generation.

    Returns:
        A `kws.inference.KeywordSpotter`, `counting.inference.SpeakerCounter`, `separation.inference.StemSeparator` or
        `generation.inference.MusicGenerator`, depending on the task of the run.

    Raises:
        UserError: The folder is not a complete run.
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
    """Train a run, or resume an interrupted one; a complete run is not trained again.

    Args:
        task: `kws`, `counting`, `separation` or `generation`.
        config: The configuration, e.g. `dataclasses.replace(kws.config.VARIANTS["default"], epochs=5)`. Defaults to the
            variant.
        run_dir: The run directory. Defaults to `runs/<task>/<variant>`.
        variant: The name of the variant that `config` is based on.
        options: Training options: the folder for decoded recordings, whether to download the corpus, and others.

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
    """Return the task of a run directory.

    Raises:
        UserError: The folder is not a run directory.
    """
    path = Path(configs.expanded(str(run_dir))) / "config.json"
    try:
        saved = files.read_json(path, "train again in another folder")
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; expected the run directory of a training") from error
    task = saved.get("task") if isinstance(saved, dict) else None
    if task not in TASKS:
        raise UserError(f"{path}: unknown task {task!r}, expected one of {', '.join(TASKS)}")
    return task


def _check(task: str) -> None:
    if task not in TASKS:
        raise UserError(f"task: there is no {task!r}, only {', '.join(TASKS)}.{nearest(task, TASKS)}")


def _models(task: str) -> Any:
    return importlib.import_module(f"{task}.models")

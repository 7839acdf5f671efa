"""Load trained runs, or train new ones."""

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

from common import arguments, files
from common import config as configs
from common.errors import UserError
from common.training.options import Options

TASKS = ("kws", "counting", "separation", "generation")


@dataclasses.dataclass(frozen=True, eq=False)
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
        UserError: The folder is not a run with a saved model, or the task has no such option.

    Example:
        >>> load("runs/kws/default").predict("clip.wav").word        # doctest: +SKIP
        'no'
    """
    folder = arguments.path("run_dir", run_dir)
    task = task_of(folder)
    models = _module(task, "models")
    arguments.keywords(task, options, models.load_for_inference)
    return models.load_for_inference(folder, **options)


def train(
    task: str,
    config: configs.TrainingConfig | None = None,
    run_dir: str | Path | None = None,
    *,
    variant: str = "default",
    options: Options | None = None,
) -> TrainedRun:
    """Train a run, or resume an interrupted one; a complete run is not trained again.

    Keras' dtype policy and the random states of Python and NumPy are restored afterwards. TensorFlow's global seed is not:
    it becomes that of the configuration.

    Args:
        task: `kws`, `counting`, `separation` or `generation`.
        config: The configuration, e.g. `dataclasses.replace(kws.config.VARIANTS["default"], epochs=5)`. Defaults to that of
            `variant`.
        run_dir: The run directory. Defaults to `runs/<task>/<variant>`.
        variant: A named configuration. With `config`, only the name that the run stores.
        options: Training options: the folder for decoded recordings, whether to download the corpus, and others.

    Returns:
        The run, with its metrics on the test split.

    Raises:
        UserError: An argument, the recordings or the folder cannot be used.
    """
    arguments.one_of("task", task, TASKS)
    task_config = _module(task, "config")
    arguments.one_of("variant", variant, tuple(task_config.VARIANTS))
    config = task_config.VARIANTS[variant] if config is None else config
    options = Options() if options is None else options
    for name, value, expected in (("config", config, task_config.Config), ("options", options, Options)):
        if not isinstance(value, expected):
            raise UserError(f"{name}: expected a {expected.__module__}.{expected.__name__}, got {type(value).__name__}")
    folder = arguments.path("run_dir", run_dir or f"runs/{task}/{variant}")
    from common import runs
    from common.distribution import strategy
    from common.training import session

    training, evaluation = _module(task, "training"), _module(task, "evaluation")
    with strategy.scope("auto"), session.restored(folder):
        run, _ = training.train_run(config, folder, variant, options)
    return TrainedRun(task, Path(run.folder), run.config, evaluation.Metrics.of(runs.read_metrics(run)))


def task_of(run_dir: str | Path) -> str:
    """Return the task of a run directory.

    Raises:
        UserError: The folder is not a run directory.
    """
    path = arguments.path("run_dir", run_dir) / "config.json"
    arguments.refuse_file(path.parent)
    try:
        saved = files.read_json(path, "train again in another folder")
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; expected the run directory of a training") from error
    task = saved.get("task") if isinstance(saved, dict) else None
    if task not in TASKS:
        raise UserError(f"{path}: unknown task {task!r}, expected one of {', '.join(TASKS)}")
    return task


def _module(task: str, name: str) -> Any:
    """Import a module of a task; a script of the user may have the name of the task."""
    try:
        return importlib.import_module(f"{task}.{name}")
    except ModuleNotFoundError as error:
        if hasattr(sys.modules.get(task), "__path__"):
            raise
        found = sys.modules[task].__file__
        raise ImportError(f"{found} hides Quartet's package `{task}`; work in another folder, or rename it") from error

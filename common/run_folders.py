"""What the files of a run directory tell without TensorFlow: whether it can be trained in, resumed or used.

`common.runs` reads and writes the run itself.
"""

import os
from pathlib import Path

from common import config as configs
from common import files
from common.config import ConfigType
from common.errors import UserError

WEIGHTS = "model.keras"
# Files that a training would overwrite in a folder that is not a run directory.
_REPLACED = (
    *("metrics.json", "corpus.json", "threshold.json", "history.csv", "history.png", WEIGHTS, "rejected.csv"),
    *("excerpts.npz", "example.wav", "example", "samples", "backup", "tensorboard", "embedding", "teachers"),
)
# Fields for which 0 means that of the corpus.
_OF_THE_CORPUS = ("sample_rate", "num_channels")


def check_usable(folder: str | Path) -> None:
    """Check that a training can use a run directory; a complete run is only read.

    Raises:
        UserError: It cannot be written to, is a file, or contains files that would be overwritten although it is not a
            run.
    """
    folder = Path(folder)
    if os.path.lexists(folder) and not folder.is_dir():
        raise UserError(f"--run_dir: {folder} is a file; expected a folder")
    there = [name for name in _REPLACED if (folder / name).exists()] + [
        path.name for pattern in ("test_*.*", "left_out_*.*") for path in folder.glob(pattern)
    ]
    if there and not (folder / "config.json").exists():
        raise UserError(
            f"{folder / there[0]} exists but {folder} is not a run: config.json is missing; use another --run_dir"
        )
    if not (folder / "metrics.json").exists():
        files.check_writable(folder)


def check_resumable(
    folder: str | Path, config: configs.TrainingConfig, task: str, ignored: tuple[str, ...] = ()
) -> None:
    """Check that a run directory, if there is one, has a run with this configuration.

    Args:
        folder: The run directory.
        config: The configuration to train; fields that the training fills in are not compared.
        task: Name of the task.
        ignored: Other fields that are not compared.

    Raises:
        UserError: It has a run of another configuration or task.
    """
    path = Path(folder) / "config.json"
    if path.exists():
        filled = [name for name, value in vars(config).items() if value in (configs.AUTO, ())]
        filled += [name for name in _OF_THE_CORPUS if not getattr(config, name, 1)]
        if config.precision == configs.AUTO:
            filled.append("jit_compile")
        refuse_changes(folder, configs.load(type(config), task, path), config, (*filled, *ignored))


def refuse_changes(
    folder: str | Path,
    earlier: configs.TrainingConfig,
    now: configs.TrainingConfig,
    ignored: tuple[str, ...] = (),
) -> None:
    """Refuse to resume a run with another configuration; two spellings of the same path are equal.

    Raises:
        UserError: Fields other than the `ignored` ones differ.
    """
    before, after = configs.to_dict(earlier), configs.to_dict(now)
    changes = [
        f"{name}={before[name]} (now {after[name]})"
        for name in after
        if before[name] != after[name]
        and name not in ignored
        and not (configs.is_path(name) and _is_same_path(before[name], after[name]))
    ]
    if changes:
        raise UserError(
            f"{folder} was trained with {', '.join(changes)}; use another --run_dir, the same flags, or --noresume to start"
            " over"
        )


def _is_same_path(one: str, other: str) -> bool:
    try:
        return os.path.realpath(one) == os.path.realpath(other)
    except ValueError:  # A damaged configuration may contain characters that no path has.
        return False


def load(config_class: type[ConfigType], task: str, folder: str | Path) -> ConfigType:
    """Read the configuration of a run that has weights.

    Raises:
        UserError: The folder is not a run of the task, or has no weights yet.
    """
    config = configs.load(config_class, task, Path(folder) / "config.json")
    weights_of(folder)
    return config


def weights_of(folder: str | Path) -> Path:
    """Return the file with the weights of a run.

    Raises:
        UserError: There is none yet.
    """
    path = Path(folder) / WEIGHTS
    if not path.exists():
        raise UserError(f"{path} does not exist: the run has not completed an epoch yet; train it first")
    return path

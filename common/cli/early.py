"""What a command refuses before it loads TensorFlow: all that flags, folders and lists of recordings can tell.

Each function is called the same way by all four tasks. The same refusals exist where the work is done, for Python callers.
"""

import dataclasses
import importlib
import os
from pathlib import Path

from common import config as configs
from common import corpora, distribution, files, run_folders
from common.config import ConfigType, FlagValues
from common.errors import UserError


def check_training(task: str, config: configs.TrainingConfig, folder: str | Path, flags: FlagValues) -> None:
    """Check that a training can start or resume.

    Args:
        task: Name of the task.
        config: The configuration to train.
        folder: The run directory.
        flags: From `common.cli.flags.define_training_flags`, or with `define_corpus_flags` only.

    Raises:
        UserError: A folder, the dispatcher of `--data_service`, the run directory or the corpus cannot be used.
    """
    if "data_service" in flags and flags.data_service:
        distribution.check_dispatcher(flags.data_service, "--data_service")
    check_run(task, config, folder, flags)
    # A run keeps a copy of the network of `--embedding`, which may be gone.
    check_recordings(task, config, flags, ("embedding",) if (Path(folder) / "embedding").exists() else ())


def check_run(task: str, config: configs.TrainingConfig, folder: str | Path, flags: FlagValues) -> None:
    """Check the run directory of a training; only the first of several workers uses it, which TensorFlow has to tell.

    Raises:
        UserError: It cannot be used, or has a run of another configuration.
    """
    if distribution.are_workers_described():
        return
    run_folders.check_usable(folder)
    if "resume" not in flags or flags.resume:
        scaled = "scale_to_devices" in flags and flags.scale_to_devices
        per_device = [name for name in vars(config) if name == "batch_size" or name.endswith("learning_rate")]
        run_folders.check_resumable(folder, config, task, tuple(per_device) if scaled else ())


def check_recordings(
    task: str, config: configs.TrainingConfig, flags: FlagValues, ignored: tuple[str, ...] = ()
) -> None:
    """Check the folders of a configuration, and that its corpus has what a training needs.

    Args:
        task: Name of the task.
        config: The configuration to train.
        flags: From `common.cli.flags.define_corpus_flags`.
        ignored: Folders that need not exist.

    Raises:
        UserError: A folder is missing or cannot be written to, or the corpus cannot be used.
    """
    files.check_writable(flags.shards_dir)
    _check_folders(config, ignored)
    # Imported here: it loads pandas. The corpus is listed once, see `corpora.ahead`.
    recordings = importlib.import_module(f"{task}.recordings")
    with corpora.ahead():
        recordings.check(config, download=flags.download)


def _check_folders(config: configs.TrainingConfig, ignored: tuple[str, ...]) -> None:
    """Check the folders to read of a configuration other than that of the corpus, which `corpora` checks."""
    for item in dataclasses.fields(config):
        path = getattr(config, item.name)
        if not configs.is_path(item.name) or item.name in ("data_dir", *ignored) or not path:
            continue
        # A network is a folder or a file.
        if not os.path.isdir(path) and not (item.name == "embedding" and os.path.isfile(path)):
            kind = "folder or file" if item.name == "embedding" else "folder"
            raise UserError(f"--{item.name}: {path} is not a {kind}; check the path")


def check_evaluation(task: str, config_class: type[ConfigType], flags: FlagValues) -> None:
    """Check the run and the recordings of an evaluation.

    Args:
        task: Name of the task.
        config_class: The task's `Config`.
        flags: From `common.cli.flags.define_evaluation_flags`.

    Raises:
        UserError: The run has no weights, or the corpus or a folder cannot be used.
    """
    config = run_folders.load(config_class, task, flags.run_dir)
    _check_corpus(task, config, flags)


def check_export(task: str, config_class: type[ConfigType], flags: FlagValues) -> None:
    """Check the run of an export, and the recordings if other ones than those of the training are given.

    Args:
        task: Name of the task.
        config_class: The task's `Config`.
        flags: From `common.cli.flags.define_export_flags`.

    Raises:
        UserError: The run has no weights, its folder cannot be written to, or the corpus cannot be used.
    """
    config = run_folders.load(config_class, task, flags.run_dir)
    files.check_writable(Path(flags.run_dir) / "export")
    if flags.corpus is not None or flags.data_dir is not None:
        _check_corpus(task, config, flags)


def _check_corpus(task: str, config: configs.TrainingConfig, flags: FlagValues) -> None:
    """Check the recordings that a trained run is evaluated on."""
    name = config.corpus if flags.corpus is None else flags.corpus
    type(config)(corpus=name)  # raises the error for an unknown name
    data_dir = flags.data_dir or (config.data_dir if name == config.corpus else "")
    # The folders of several corpora are told apart where they are listed.
    if not flags.download and "," not in name:
        corpora.check_folder(task, name, data_dir)
    files.check_writable(flags.shards_dir)
    for name in ("noise_dir", "background_dir"):
        if name in flags and flags[name].value and not os.path.isdir(flags[name].value):
            raise UserError(f"--{name}: {flags[name].value} is not a folder; expected a folder of audio files")

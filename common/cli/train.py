"""From the flags of a `train` command to a trained run."""

import logging
from collections.abc import Callable, Mapping

import tensorflow as tf

from common import config as configs
from common import runs, streams
from common.distribution import strategy
from common.training import session
from common.training.options import Options


def train(
    train_run: Callable[..., tuple[runs.Run, bool]],
    task: str,
    variants: Mapping[str, configs.TrainingConfig],
    flags: configs.FlagValues,
) -> tuple[runs.Run, bool]:
    """Train what the flags say, on the devices that they name.

    Args:
        train_run: The task's: takes a configuration, the run directory, the name of the variant, and `Options`.
        task: The task's name.
        variants: The task's named configurations.
        flags: Of `common.cli.flags.define_training_flags` and `common.config.define_flags`.

    Returns:
        What `train_run` does: the run, complete, and whether anything was left to do.
    """
    if flags.deterministic:
        tf.config.experimental.enable_op_determinism()
    options = Options(
        shards_dir=flags.shards_dir,
        download=flags.download,
        resume=flags.resume,
        data_service=flags.data_service,
        on_nan=flags.on_nan,
        tune_jit_compile=not flags["jit_compile"].present,
    )
    # What Keras prints of its epochs ends no training.
    with streams.as_log(), strategy.scope(flags.strategy), session.restored():
        config = strategy.scaled(configs.from_flags(flags, variants), flags.scale_to_devices)
        return train_run(config, flags.run_dir or f"runs/{task}/{flags.variant}", flags.variant, options)


def report(
    run: runs.Run, trained: bool, task: str, format_table: Callable[[dict], str], what_next: Mapping[str, object]
) -> None:
    """Print what came of a training, and what can be done with it.

    Args:
        run: The run, complete.
        trained: Whether anything was left to do.
        task: The task's name.
        format_table: The task's: lays the figures out.
        what_next: Where else to look and which commands to try, each by a word.
    """
    print(format_table(runs.read_metrics(run)))
    if not trained:
        logging.info("%s is complete: another --run_dir trains another, --noresume starts over", run.folder)
        return
    lines = {
        "plots": ", ".join(str(path) for path in sorted(run.folder.glob("*.png"))),
        "dashboard": f"tensorboard --logdir {run.folder / 'tensorboard'}",
        **what_next,
        "export": f"python -m {task}.export --run_dir {run.folder}",
    }
    print("", *(f"{name + ':':<11} {what}" for name, what in lines.items()), sep="\n")

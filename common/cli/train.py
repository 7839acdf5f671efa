"""From the flags of a `train` command to a trained run."""

from collections.abc import Callable, Mapping

import tensorflow as tf

from common import config as configs
from common import runs, streams
from common.distribution import strategy
from common.log import logger
from common.training import session
from common.training.options import Options


def train(
    train_run: Callable[..., tuple[runs.Run, bool]],
    task: str,
    variants: Mapping[str, configs.TrainingConfig],
    flags: configs.FlagValues,
) -> tuple[runs.Run, bool]:
    """Train with the configuration and on the devices of the flags.

    Args:
        train_run: `train_run` of the task: takes a configuration, the run directory, the name of the variant, and `Options`.
        task: Name of the task.
        variants: Named configurations of the task.
        flags: From `common.cli.flags.define_training_flags` and `common.config.define_flags`.

    Returns:
        The result of `train_run`: the complete run, and whether anything was trained.
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
    # A closed standard output, to which Keras prints its epochs, must not end the training.
    folder = flags.run_dir or f"runs/{task}/{flags.variant}"
    with streams.as_log(), strategy.scope(flags.strategy), session.restored(folder):
        config = strategy.scaled(configs.from_flags(flags, variants), flags.scale_to_devices)
        return train_run(config, folder, flags.variant, options)


def report(
    run: runs.Run, trained: bool, task: str, format_table: Callable[[dict], str], what_next: Mapping[str, object]
) -> None:
    """Print the metrics of a training, and the next commands.

    Args:
        run: The complete run.
        trained: Whether anything was trained.
        task: Name of the task.
        format_table: `evaluation.format_table` of the task.
        what_next: Label and text of further lines: files to look at, commands to try.
    """
    print(format_table(runs.read_metrics(run)))
    if not trained:
        logger.info(
            "%s is complete; give another --run_dir to train another run, or --noresume to start over", run.folder
        )
        return
    lines = {
        "plots": ", ".join(str(path) for path in sorted(run.folder.glob("*.png"))),
        "dashboard": f"tensorboard --logdir {run.folder / 'tensorboard'}",
        **what_next,
        "export": f"python -m {task}.export --run_dir {run.folder}",
    }
    print("", *(f"{name + ':':<11} {what}" for name, what in lines.items()), sep="\n")

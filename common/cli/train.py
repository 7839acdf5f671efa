"""From the flags of a `train` command to a trained run."""

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

"""What every training takes beside its configuration: its flags, and the same for code that trains without a command line."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

from absl import flags as absl_flags

from common import config as configs
from common import runs, streams
from common.distribution import strategy
from common.files import locks
from common.training import watchdog


@dataclasses.dataclass(frozen=True)
class Options:
    """How a run is trained.

    Attributes:
        shards_dir: Where decoded recordings are kept.
        download: Whether to fetch a corpus that is not there.
        resume: Whether to go on with what is in the run directory; otherwise it is moved aside.
        data_service: HOST:PORT of a dispatcher whose workers make the training batches; empty to make them here.
        on_nan: What to do when the loss is not a number or explodes; see `common.training.watchdog`.
        tune_jit_compile: Whether with `--precision=auto` XLA is chosen too; otherwise the configuration decides.
    """

    shards_dir: str | Path = "data/shards"
    download: bool = False
    resume: bool = True
    data_service: str = ""
    on_nan: str = "stop"
    tune_jit_compile: bool = True


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags that `train` reads, but for those of the configuration and the corpus."""
    absl_flags.DEFINE_string(
        "run_dir", None, "the run directory (default runs/<task>/<variant>)", flag_values=flag_values
    )
    absl_flags.DEFINE_bool(
        "resume",
        True,
        "go on with an interrupted run; --noresume moves it aside and starts over",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_bool(
        "deterministic",
        False,
        "make the same weights bit for bit whenever the same command runs on the same device, somewhat slower",
        flag_values=flag_values,
    )
    define_strategy_flag(flag_values)
    absl_flags.DEFINE_bool(
        "scale_to_devices",
        False,
        "take --batch_size and --learning_rate as those of one device: with several, both are so many times as large",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_string(
        "data_service",
        "",
        "HOST:PORT of a dispatcher whose workers make the training batches (python -m common.data_service)",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_enum(
        "on_nan",
        "stop",
        watchdog.ANSWERS,
        "when the loss is not a number or explodes: stop and say what was read there, or restore the last complete epoch"
        " and go on with other batches, at most three times in an epoch",
        flag_values=flag_values,
    )


def define_strategy_flag(flag_values: configs.FlagValues) -> None:
    """Define which devices train."""
    absl_flags.DEFINE_enum(
        "strategy",
        "auto",
        strategy.STRATEGIES,
        f"devices to use: {', '.join(strategy.STRATEGIES)}",
        flag_values=flag_values,
    )


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
        flags: Of `define_flags` and `common.config.define_flags`, with `shards_dir` and, where a corpus can be fetched,
            `download`.

    Returns:
        What `train_run` does: the run, complete, and whether anything was left to do.
    """
    options = Options(
        shards_dir=flags.shards_dir,
        download="download" in flags and flags.download,
        resume=flags.resume,
        data_service=flags.data_service,
        on_nan=flags.on_nan,
        tune_jit_compile=not flags["jit_compile"].present,
    )
    # What Keras prints of its epochs ends no training.
    with streams.as_log(), strategy.scope(flags.strategy), contextlib.ExitStack() as stack:
        # However it ends: in a notebook the process goes on.
        stack.callback(locks.release_all)
        config = strategy.scaled(configs.from_flags(flags, variants), flags.scale_to_devices)
        return train_run(config, flags.run_dir or f"runs/{task}/{flags.variant}", flags.variant, options)

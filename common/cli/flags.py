"""Flags that several entry points share, each declared once.

Fields of a configuration (`common.config.field`) get their flags from `common.config.define_flags`.
"""

from collections.abc import Sequence

from absl import flags

from common import config as configs
from common import distribution, export
from common.config import FlagValues
from common.training import options


def define_run_flag(flag_values: FlagValues, task: str) -> None:
    """Define `--run_dir` for an entry point that works on a trained run."""
    flags.DEFINE_string("run_dir", f"runs/{task}/default", "run directory of a training", flag_values=flag_values)


def define_corpus_flags(flag_values: FlagValues) -> None:
    """Define `--download` and `--shards_dir`."""
    with configs.group(flag_values, "data"):
        flags.DEFINE_bool(
            "download", False, "download the corpus to --data_dir if it is not there", flag_values=flag_values
        )
        flags.DEFINE_string(
            "shards_dir", options.SHARDS_DIR, "folder for decoded recordings, a cache", flag_values=flag_values
        )


def define_other_corpus_flags(flag_values: FlagValues, corpora: Sequence[str]) -> None:
    """Define the recordings that a trained run is evaluated on."""
    with configs.group(flag_values, "data"):
        flags.DEFINE_string(
            "corpus", None, f"another corpus than that of the training: {', '.join(corpora)}", flag_values=flag_values
        )
        flags.DEFINE_string(
            "data_dir", None, "folder of the corpus, if not that of the training", flag_values=flag_values
        )
        flags.DEFINE_enum(
            "split",
            "test",
            [*configs.SPLITS, configs.ALL],
            f"split of the corpus: {', '.join((*configs.SPLITS, configs.ALL))}",
            flag_values=flag_values,
        )
    define_corpus_flags(flag_values)


def define_evaluation_flags(flag_values: FlagValues, task: str, corpora: Sequence[str]) -> None:
    """Define the flags of every `evaluate`: the run, the recordings, and the file for the metrics."""
    define_run_flag(flag_values, task)
    define_other_corpus_flags(flag_values, corpora)
    flags.DEFINE_string(
        "output",
        None,
        "JSON file for the metrics (default evaluation.json in the run directory)",
        flag_values=flag_values,
    )
    define_overwrite_flag(flag_values)


def define_export_flags(
    flag_values: FlagValues,
    task: str,
    corpora: Sequence[str],
    *,
    formats: Sequence[str] = export.FORMATS,
) -> None:
    """Define the flags of every `export`: the run, the recordings to compare on, and the formats."""
    define_run_flag(flag_values, task)
    define_other_corpus_flags(flag_values, corpora)
    flags.DEFINE_list("formats", list(formats), f"any of {', '.join(export.FORMATS)}", flag_values=flag_values)


def define_overwrite_flag(flag_values: FlagValues) -> None:
    """Define `--overwrite`."""
    flags.DEFINE_bool(
        "overwrite", False, "replace existing files, but never a recording that is read", flag_values=flag_values
    )


def define_output_format_flag(flag_values: FlagValues, formats: Sequence[str] = ("text", "json", "csv")) -> None:
    """Define the format of the printed results; the first one is the default."""
    flags.DEFINE_enum(
        "output_format",
        formats[0],
        list(formats),
        f"format of the results: {', '.join(formats)}",
        flag_values=flag_values,
    )


def define_training_flags(flag_values: FlagValues) -> None:
    """Define the flags of every `train` that are not fields of the configuration."""
    define = {"flag_values": flag_values}
    flags.DEFINE_string("run_dir", None, "run directory (default runs/<task>/<variant>)", **define)
    flags.DEFINE_bool(
        "resume", True, "resume an interrupted run; --noresume renames the old folder and starts over", **define
    )
    define_corpus_flags(flag_values)
    with configs.group(flag_values, "training"):
        flags.DEFINE_enum(
            "on_nan",
            options.ON_NAN[0],
            options.ON_NAN,
            "if the loss is NaN or explodes: stop, or restore the last epoch and skip the batch (three times an epoch)",
            **define,
        )
        flags.DEFINE_bool("deterministic", False, "bit-identical weights on the same device; somewhat slower", **define)
    define_strategy_flag(flag_values)
    with configs.group(flag_values, "devices"):
        flags.DEFINE_bool(
            "scale_to_devices", False, "multiply --batch_size and --learning_rate by the number of devices", **define
        )
        flags.DEFINE_string(
            "data_service",
            "",
            "HOST:PORT of a dispatcher whose workers prepare the batches (python -m common.data_service)",
            **define,
        )


def define_strategy_flag(flag_values: FlagValues) -> None:
    """Define the devices to train on."""
    with configs.group(flag_values, "devices"):
        flags.DEFINE_enum(
            "strategy",
            distribution.STRATEGIES[0],
            distribution.STRATEGIES,
            f"devices to use: {', '.join(distribution.STRATEGIES)}",
            flag_values=flag_values,
        )

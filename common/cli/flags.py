"""The flags that several entry points share, each declared once.

What belongs to a task's configuration is a field of it (`common.config.field`); here is the rest.
"""

from collections.abc import Sequence

from absl import flags

from common import config as configs
from common import distribution, export
from common.config import FlagValues
from common.training import options


def define_run_flag(flag_values: FlagValues, task: str) -> None:
    """Define `--run_dir` for an entry point that works on a trained run."""
    flags.DEFINE_string(
        "run_dir", f"runs/{task}/default", "the run directory that training left", flag_values=flag_values
    )


def define_corpus_flags(flag_values: FlagValues) -> None:
    """Define whether recordings are fetched, and where their decoded form is kept."""
    flags.DEFINE_bool(
        "download", False, "fetch the corpus to its folder first, if it is not there", flag_values=flag_values
    )
    flags.DEFINE_string(
        "shards_dir", options.SHARDS_DIR, "folder that keeps decoded recordings", flag_values=flag_values
    )


def define_other_corpus_flags(flag_values: FlagValues, corpora: Sequence[str]) -> None:
    """Define which recordings a trained run is tried on, if not those that it was trained on."""
    flags.DEFINE_string(
        "corpus", None, f"the corpus, if not the one trained on: {', '.join(corpora)}", flag_values=flag_values
    )
    flags.DEFINE_string(
        "data_dir", None, "folder of the corpus, if not where it was in training", flag_values=flag_values
    )
    flags.DEFINE_enum(
        "split",
        "test",
        [*configs.SPLITS, configs.ALL],
        "which recordings: train, validation, test or all",
        flag_values=flag_values,
    )
    define_corpus_flags(flag_values)


def define_evaluation_flags(flag_values: FlagValues, task: str, corpora: Sequence[str]) -> None:
    """Define what every `evaluate` takes: the run, the recordings, and the file that metrics are written to."""
    define_run_flag(flag_values, task)
    define_other_corpus_flags(flag_values, corpora)
    flags.DEFINE_string(
        "output", None, "the JSON file (default evaluation.json in the run directory)", flag_values=flag_values
    )
    define_overwrite_flag(flag_values)


def define_export_flags(
    flag_values: FlagValues,
    task: str,
    corpora: Sequence[str],
    *,
    formats: Sequence[str] = export.FORMATS,
) -> None:
    """Define what every `export` takes: the run, the recordings to compare on, and the formats."""
    define_run_flag(flag_values, task)
    define_other_corpus_flags(flag_values, corpora)
    flags.DEFINE_list("formats", list(formats), f"any of {', '.join(export.FORMATS)}", flag_values=flag_values)


def define_overwrite_flag(flag_values: FlagValues) -> None:
    """Define whether files that are there may be replaced."""
    flags.DEFINE_bool(
        "overwrite",
        False,
        "replace files that are there, also those that this command did not write; never a recording that it reads",
        flag_values=flag_values,
    )


def define_output_format_flag(flag_values: FlagValues, formats: Sequence[str] = ("text", "json", "csv")) -> None:
    """Define how the results of a command are written; the first format is the default."""
    flags.DEFINE_enum(
        "output_format",
        formats[0],
        list(formats),
        f"how results are written: {', '.join(formats)}",
        flag_values=flag_values,
    )


def define_training_flags(flag_values: FlagValues) -> None:
    """Define the flags that every `train` reads, but for those of the configuration."""
    define = {"flag_values": flag_values}
    flags.DEFINE_string("run_dir", None, "the run directory (default runs/<task>/<variant>)", **define)
    flags.DEFINE_bool(
        "resume", True, "go on with an interrupted run; --noresume moves it aside and starts over", **define
    )
    flags.DEFINE_bool(
        "deterministic",
        False,
        "make the same weights bit for bit whenever the same command runs on the same device, somewhat slower",
        **define,
    )
    define_strategy_flag(flag_values)
    flags.DEFINE_bool(
        "scale_to_devices",
        False,
        "take --batch_size and --learning_rate as those of one device: with several, both are so many times as large",
        **define,
    )
    flags.DEFINE_string(
        "data_service",
        "",
        "HOST:PORT of a dispatcher whose workers make the training batches (python -m common.data_service)",
        **define,
    )
    flags.DEFINE_enum(
        "on_nan",
        options.ON_NAN[0],
        options.ON_NAN,
        "when the loss is not a number or explodes: stop and say what was read there, or restore the last complete epoch"
        " and go on with other batches, at most three times in an epoch",
        **define,
    )
    define_corpus_flags(flag_values)


def define_strategy_flag(flag_values: FlagValues) -> None:
    """Define which devices train."""
    flags.DEFINE_enum(
        "strategy",
        distribution.STRATEGIES[0],
        distribution.STRATEGIES,
        f"devices to use: {', '.join(distribution.STRATEGIES)}",
        flag_values=flag_values,
    )

"""Evaluate a trained separator on the tracks of a corpus and split, and compare it with oracle masks.

  python -m separation.evaluate --run_dir runs/separation/default --oracle
  python -m separation.evaluate --run_dir runs/separation/default --corpus=mir1k --data_dir=DIR --split=all

Prints SDR, SI-SDR, uSDR, ISR, SIR and SAR. Writes them as JSON, the values of each track as CSV (the worst
first), and a plot as PNG.
"""

import dataclasses
import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from common import config as configs
from common import startup
from common.cli import app, early, outputs
from common.cli import flags as shared_flags
from separation.config import SEPARATION_CORPORA, TASK, Config
from separation.predict import define_inference_flags

_BESIDE = ("tracks.csv", "sdr.png")


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_evaluation_flags(flag_values, TASK, SEPARATION_CORPORA)
    absl_flags.DEFINE_bool(
        "oracle",
        False,
        "also evaluate the unprocessed mixture and ideal binary and ratio masks on the same tracks",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_bool(
        "full", True, "also compute ISR, SIR and SAR, which takes longer than the separation", flag_values=flag_values
    )
    define_inference_flags(flag_values)


def as_asked(config, flags: configs.FlagValues):
    """Return the configuration, updated by the inference flags that were given."""
    return dataclasses.replace(
        config,
        **{name: flags[name].value for name in ("overlap", "wiener_iterations") if flags[name].value is not None},
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Evaluate the run."""
    app.refuse_arguments(arguments)
    early.check_evaluation(TASK, Config, flags)
    output = outputs.evaluation_file(flags, _BESIDE)
    startup.load_tensorflow()
    from common import files
    from separation import data, evaluation, oracle
    from separation.models import load_model

    config, model = load_model(flags.run_dir)
    trained = as_asked(config, flags)
    config = data.with_corpus(trained, flags.corpus, flags.data_dir)
    corpus = data.load_corpus(config, flags.shards_dir, download=flags.download)
    results, table = evaluation.evaluate_split(
        model,
        corpus,
        flags.split,
        train_groups=data.groups_of(corpus, "train") if config == trained else None,
        full=flags.full,
        oracles=oracle.NAMES if flags.oracle else (),
    )
    files.write_json(output, results)
    written = [output, *evaluation.save_plots(results, table, output.with_suffix(""))]
    print(evaluation.format_table(results))
    print(f"\nwritten: {', '.join(map(str, written))}")


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

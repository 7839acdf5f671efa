"""Evaluate a trained speaker counter on any corpus and split, and under further conditions.

  python -m counting.evaluate --run_dir runs/counting/default
  python -m counting.evaluate --run_dir runs/counting/default --corpus=librispeech --data_dir=DIR --noise_dir=ESC

Prints a table. Writes the metrics as JSON, and next to it the confusion matrices (CSV, PNG), the wrong counts (CSV)
and the accuracy against speaker level and noise (PNG). The mixtures of a split do not depend on the seed of the
training.
"""

import dataclasses
import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from common import config as configs
from common import startup
from common.cli import app, early, outputs
from common.cli import flags as shared_flags
from counting.config import COUNTING_CORPORA, TASK, Config

_BESIDE = ("confusion.csv", "confusion.png", "sex_confusion.csv", "sex_confusion.png", "conditions.png", "mistakes.csv")


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_evaluation_flags(flag_values, TASK, COUNTING_CORPORA)
    absl_flags.DEFINE_string(
        "noise_dir",
        None,
        "folder of background noise for the noise conditions (default: that of training, else coloured noise)",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_integer(
        "num_mixtures",
        None,
        "mixtures per condition (default: --test_mixtures of the run)",
        1,
        flag_values=flag_values,
    )
    absl_flags.DEFINE_bool(
        "conditions",
        True,
        "also test under other conditions: excerpts, levels, reverberation and noise",
        flag_values=flag_values,
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Evaluate as the flags say."""
    app.refuse_arguments(arguments)
    early.check_evaluation(TASK, Config, flags)
    output = outputs.evaluation_file(flags, _BESIDE)
    startup.load_tensorflow()
    from common import files
    from counting import data, evaluation
    from counting.models import load_model

    config, model = load_model(flags.run_dir)
    trained = config
    if flags.noise_dir is not None:
        config = dataclasses.replace(config, noise_dir="")
    config = data.with_corpus(config, flags.corpus, flags.data_dir)
    trained_on = (config.corpus, config.data_dir) == (trained.corpus, trained.data_dir)
    if flags.noise_dir is not None:
        config = dataclasses.replace(config, noise_dir=flags.noise_dir)
    corpus = data.load_corpus(config, flags.shards_dir, download=flags.download)
    split = data.prepare_split(corpus, flags.split)
    train_speakers = data.speakers_of(corpus, "train") if trained_on else None
    asked = {"train_speakers": train_speakers, "num_examples": flags.num_mixtures}
    as_evaluated = dataclasses.replace(corpus, config=data.as_evaluated(config))
    figures, predictions = evaluation.evaluate_split(model, as_evaluated, split, **asked)
    files.write_json(output, figures)
    if flags.conditions:
        figures["conditions"] = dict(evaluation.under_conditions(model, corpus, split, **asked))
        files.write_json(output, figures)
    plot_files = evaluation.save_plots(figures, predictions, output.with_suffix(""))
    print(evaluation.format_table(figures))
    print(f"\nwritten: {', '.join(str(path) for path in (output, *plot_files))}")


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

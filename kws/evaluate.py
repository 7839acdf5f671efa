"""Evaluate a trained keyword spotter on any corpus and split.

  python -m kws.evaluate --run_dir runs/kws/default
  python -m kws.evaluate --run_dir runs/kws/default --corpus=folder --data_dir=my_words --split=all
  python -m kws.evaluate --run_dir runs/kws/default --background_dir=radio

Prints a table. Writes the metrics as JSON, and next to it the confusion matrix (CSV, PNG), the wrong predictions (CSV),
the ROC curves (PNG) and the accepted keywords against the other accepted clips (PNG). With --background_dir, a folder
of recordings without keywords, it also counts false accepts per hour.
"""

import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from common import config as configs
from common import startup
from common.cli import app, early, outputs
from common.cli import flags as shared_flags
from kws.config import KWS_CORPORA, TASK, Config

_BESIDE = (
    "confusion.csv",
    "confusion.png",
    "roc.png",
    "reliability.png",
    "rejection.png",
    "mistakes.csv",
    "predictions.csv",
)


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_evaluation_flags(flag_values, TASK, KWS_CORPORA)
    absl_flags.DEFINE_string(
        "background_dir", None, "folder of recordings without keywords, to count false accepts", flag_values=flag_values
    )
    absl_flags.DEFINE_integer(
        "num_shifts",
        1,
        "test-time augmentation: average the predictions of this many time-shifted copies of each clip",
        lower_bound=1,
        upper_bound=101,
        flag_values=flag_values,
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Evaluate as the flags say."""
    app.refuse_arguments(arguments)
    early.check_evaluation(TASK, Config, flags)
    output = outputs.evaluation_file(flags, _BESIDE)
    startup.load_tensorflow()
    from common import files
    from kws import acceptance, data, evaluation, false_accepts, rejection
    from kws.models import average_over_shifts, load_model, spotter

    config, model = load_model(flags.run_dir)
    if flags.num_shifts > 1:
        model = average_over_shifts(model, config, flags.num_shifts)
    trained = config
    config = data.with_corpus(trained, flags.corpus, flags.data_dir)
    trained_on = (config.corpus, config.data_dir) == (trained.corpus, trained.data_dir)
    corpus = data.load_corpus(config, flags.shards_dir, download=flags.download, trained=config != trained)
    split = data.prepare_split(corpus, flags.split)
    point = acceptance.operating_point(flags.run_dir)
    figures, predictions = evaluation.evaluate_split(model, corpus, split, trained_on=trained_on)
    figures["protocol"]["num_shifts"] = flags.num_shifts
    figures["rejection"], scores = rejection.evaluate_split(
        model, corpus, split, predictions.probabilities, point.threshold
    )
    figures["rejection"]["threshold_source"] = point.source
    if flags.background_dir:
        listener = spotter(model, config, point.threshold)
        figures["background"] = false_accepts.false_accepts(listener, flags.background_dir)
        figures["background"]["keywords"] = false_accepts.keywords_found(listener, corpus.config, split)
    files.write_json(output, figures)
    stem = output.with_suffix("")
    plot_files = evaluation.save_plots(figures, predictions, stem)
    plot_files += rejection.save_plot(scores, figures["rejection"], files.beside(stem, "_rejection.png"))
    print(evaluation.format_table(figures))
    if flags.background_dir:
        print(false_accepts.format_table(figures["background"]))
    print(f"\nwritten: {', '.join(str(path) for path in (output, *plot_files))}")


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

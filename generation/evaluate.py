"""Evaluate a trained generator against recordings that it was not trained on.

  python -m generation.evaluate --run_dir runs/generation/default
  python -m generation.evaluate --run_dir runs/generation/default --corpus=folder --data_dir=DIR --split=all

Prints the Fréchet distance, precision, recall, density, coverage and spread of the samples, compared with recordings,
and writes them as JSON.
"""

import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from common import config as configs
from common import startup
from common.cli import app, early, outputs
from common.cli import flags as shared_flags
from generation import snapshots
from generation.config import GENERATION_CORPORA, NUM_SAMPLES, TASK, Config

_BESIDE = ("samples.png",)


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_evaluation_flags(flag_values, TASK, GENERATION_CORPORA)
    define = {"flag_values": flag_values}
    absl_flags.DEFINE_integer("num_samples", NUM_SAMPLES, "number of generated samples", 16, **define)
    absl_flags.DEFINE_integer("epoch", None, "use the snapshot of this epoch (default: the final model)", 1, **define)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Evaluate the run."""
    app.refuse_arguments(arguments)
    early.check_evaluation(TASK, Config, flags)
    if flags.epoch is not None:
        snapshots.check(flags.run_dir, flags.epoch)
    output = outputs.evaluation_file(flags, _BESIDE)
    startup.load_tensorflow()
    from common import files
    from generation import data, evaluation
    from generation.models import load_model

    config, model = load_model(flags.run_dir)
    if flags.epoch is not None:
        snapshots.load(model.average, flags.run_dir, flags.epoch)
    elsewhere = data.with_corpus(config, flags.corpus, flags.data_dir)
    train = data.prepare_split(data.load_corpus(data.of_training(config, elsewhere), flags.shards_dir), "train")
    corpus = data.load_corpus(elsewhere, flags.shards_dir, download=flags.download)
    split = data.prepare_split(corpus, flags.split)
    results, samples = evaluation.evaluate_split(model, corpus, split, train=train, num_samples=flags.num_samples)
    files.write_json(output, results)
    written = [output, *evaluation.save_plots(results, samples, output.with_suffix(""))]
    print(evaluation.format_table(results))
    print(f"\nwritten: {', '.join(map(str, written))}")


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

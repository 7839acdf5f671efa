"""Train a speaker counter, evaluate it on the test split, and save everything in a run directory.

  python -m counting.train                                           synthetic voices, no download
  python -m counting.train --corpus=librispeech --data_dir=DIR       LibriSpeech (--download fetches it)
  python -m counting.train --corpus=folder --data_dir=DIR            one folder per speaker; sexes in speakers.csv
  python -m counting.train --corpus=prepared --data_dir=DIR          mixtures from counting.prepare

Run the same command again to resume an interrupted run.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app, early
from common.cli import flags as shared_flags
from counting.config import TASK, VARIANTS


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    configs.define_flags(flag_values, VARIANTS)
    shared_flags.define_training_flags(flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Train as the flags say."""
    app.refuse_arguments(arguments)
    config = configs.from_flags(flags, VARIANTS)
    early.check_training(TASK, config, flags.run_dir or f"runs/{TASK}/{flags.variant}", flags)
    startup.load_tensorflow()
    from common.cli import train
    from counting import evaluation, training

    run, trained = train.train(training.train_run, TASK, VARIANTS, flags)
    what_next = {"predict": f"python -m counting.predict --run_dir {run.folder} {run.folder / 'example.wav'}"}
    train.report(run, trained, TASK, evaluation.format_table, what_next)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

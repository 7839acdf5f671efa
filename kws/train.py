"""Train a keyword spotter, evaluate it on the test split, and save everything in a run directory.

  python -m kws.train                                             synthetic words, no download
  python -m kws.train --corpus=folder --data_dir=my_words         your recordings: one folder per word
  python -m kws.train --corpus=folder --data_dir=my_words --unknown --speech_dir=my_speech
                                                                  your words in running speech
  python -m kws.train --corpus=speech_commands --data_dir=DIR     Google Speech Commands (--download fetches it)

Run the same command again to resume an interrupted run.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app, early
from common.cli import flags as shared_flags
from kws.config import TASK, VARIANTS


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
    from kws import evaluation, training

    run, trained = train.train(training.train_run, TASK, VARIANTS, flags)
    what_next = {"predict": f"python -m kws.predict --run_dir {run.folder} {run.folder / 'example.wav'}"}
    train.report(run, trained, TASK, evaluation.format_table, what_next)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

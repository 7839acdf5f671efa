"""Train a separator, evaluate it on the test tracks, and write everything to a run directory.

  python -m separation.train                                         synthetic songs, no download
  python -m separation.train --corpus=mir1k --data_dir=DIR           karaoke: accompaniment left, voice right
  python -m separation.train --corpus=musdb --data_dir=DIR --stems=vocals,drums,bass,other
  python -m separation.train --corpus=folder --data_dir=DIR          one folder per track, one file per stem

The same command resumes an interrupted run.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app, early
from common.cli import flags as shared_flags
from separation.config import TASK, VARIANTS


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    configs.define_flags(flag_values, VARIANTS)
    shared_flags.define_training_flags(flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Train a run and report it."""
    app.refuse_arguments(arguments)
    config = configs.from_flags(flags, VARIANTS)
    early.check_training(TASK, config, flags.run_dir or f"runs/{TASK}/{flags.variant}", flags)
    startup.load_tensorflow()
    from common.cli import train
    from separation import evaluation, training

    run, trained = train.train(training.train_run, TASK, VARIANTS, flags)
    example = run.folder / "example"
    what_next = {
        "listen": example,
        "separate": f"python -m separation.predict --run_dir {run.folder} {example / 'mixture.wav'}",
    }
    train.report(run, trained, TASK, evaluation.format_table, what_next)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

"""Train a generator, evaluate it against test tracks, and write everything to a run directory.

  python -m generation.train                                           synthetic riffs, no download
  python -m generation.train --corpus=gtzan --data_dir=DIR --genre=metal
  python -m generation.train --corpus=folder --data_dir=DIR            any folder of music
  python -m generation.train --variant=report                          the networks of the student report

Every few epochs samples are written to the run directory as audio and spectrograms. The same command resumes an
interrupted run.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app, early
from common.cli import flags as shared_flags
from generation.config import TASK, VARIANTS


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
    from generation import evaluation, training

    run, trained = train.train(training.train_run, TASK, VARIANTS, flags)
    what_next = {
        "listen": run.folder / "samples",
        "generate": f"python -m generation.generate --run_dir {run.folder} --num_samples=4 --duration_seconds=20",
    }
    train.report(run, trained, TASK, evaluation.format_table, what_next)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

"""Train a generator, judge it against test tracks, and leave everything in a run directory.

  python -m generation.train                                           riffs made on the spot, no download
  python -m generation.train --corpus=gtzan --data_dir=DIR --genre=metal
  python -m generation.train --corpus=folder --data_dir=DIR            any folder of music
  python -m generation.train --variant=report                          the networks of the student report

Every few epochs samples are written to the run directory, to see and to hear. The same command goes on where an
interrupted run stopped.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app
from common.cli import flags as shared_flags
from generation.config import TASK, VARIANTS


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_training_flags(flag_values)
    configs.define_flags(flag_values, VARIANTS)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Train as the flags say."""
    app.refuse_arguments(arguments)
    configs.from_flags(flags, VARIANTS)  # what cannot be trained is said before anything is loaded
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

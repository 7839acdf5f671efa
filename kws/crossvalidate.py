"""Train and test a variant on every fold of a corpus: each speaker, and with --unknown each other word, is tested once.

  python -m kws.crossvalidate --variant=twelve --corpus=speech_commands --data_dir=DIR

The speakers are dealt into --num_folds folds; fold k is the test split of run k, the next fold its validation split. With
--unknown the other words are dealt likewise, and those of fold k are kept out of run k's training and validation.
Prints a table and writes it as folds.csv and folds.json beside the runs; the same command goes on where it stopped.
"""

import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from common import config as configs
from common import startup
from common.cli import app
from common.cli import flags as shared_flags
from kws.config import TASK, VARIANTS


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_string(
        "output_dir", None, f"folder of the runs (default runs/{TASK}/<variant>_folds)", flag_values=flag_values
    )
    shared_flags.define_strategy_flag(flag_values)
    shared_flags.define_corpus_flags(flag_values)
    configs.define_flags(flag_values, VARIANTS)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Do what the flags say."""
    app.refuse_arguments(arguments)
    startup.load_tensorflow()
    from kws import crossvalidation

    crossvalidation.run(flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

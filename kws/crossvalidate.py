"""Cross-validate a variant: train and test it on every fold of a corpus.

  python -m kws.crossvalidate --variant=twelve --corpus=speech_commands --data_dir=DIR

Speakers are assigned to --num_folds folds. Fold k is the test split of run k, the next fold is its validation split.
With --unknown, the other words are assigned to folds too, and the words of fold k are excluded from the training and
validation of run k. So each speaker, and with --unknown each other word, is tested once.

Prints a table and writes folds.csv and folds.json next to the runs. Run the same command again to resume.
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
        "output_dir", None, f"folder for the runs (default runs/{TASK}/<variant>_folds)", flag_values=flag_values
    )
    shared_flags.define_strategy_flag(flag_values)
    shared_flags.define_corpus_flags(flag_values)
    configs.define_flags(flag_values, VARIANTS)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Cross-validate as the flags say."""
    app.refuse_arguments(arguments)
    startup.load_tensorflow()
    from kws import crossvalidation

    crossvalidation.run(flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

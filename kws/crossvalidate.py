"""Cross-validate a variant: train and test it on every fold of a corpus.

  python -m kws.crossvalidate --variant=twelve --corpus=speech_commands --data_dir=DIR

Speakers are assigned to --num_folds folds. Fold k is the test split of run k, the next fold is its validation split.
With --unknown, the other words are assigned to folds too, and the words of fold k are excluded from the training and
validation of run k. So each speaker, and with --unknown each other word, is tested once.

Prints a table and writes folds.csv and folds.json next to the runs. Run the same command again to resume.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags

from common import config as configs
from common import startup
from common.cli import app, early
from common.cli import flags as shared_flags
from common.errors import UserError
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
    for name in ("fold", "split_rule", "unseen_words"):
        if flags[name].present:
            raise UserError(f"--{name}: cross-validation sets it for each fold; remove the flag")
    config = dataclasses.replace(configs.from_flags(flags, VARIANTS), split_rule="folds")
    folder = Path(flags.output_dir or f"runs/{TASK}/{flags.variant}_folds")
    for fold in range(config.num_folds):
        early.check_run(TASK, dataclasses.replace(config, fold=fold), folder / f"fold_{fold}", flags)
    early.check_recordings(TASK, config, flags)
    startup.load_tensorflow()
    from kws import crossvalidation

    crossvalidation.run(config, folder, flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

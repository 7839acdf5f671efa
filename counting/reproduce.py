"""Train the student report's networks by its recipe and print what they reach beside the published figures.

  python -m counting.reproduce --data_dir=DIR             DIR: any LibriSpeech folder (--download fetches it)
  python -m counting.reproduce --data_dir=DIR --quick     minutes: an idea of the tables, not their figures

Ten epochs of 100,000 mixtures of one to three speakers, each the mean of random one-second cuts; Adam at 1e-4, batches
of 32. The report cut training and validation out of the same recordings; here every network is validated on other cuts
of the speakers it trained on, as there, and tested on speakers that it never heard.

Writes table.md, table.csv, report.json, curves.png (the best network on waveforms against the best on spectrograms) and
cuts.png (32 cuts with true and predicted counts) beside the runs; the same command goes on where it stopped.
"""

import dataclasses
import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from common import config as configs
from common import startup
from common.cli import app
from common.cli import flags as shared_flags
from counting.config import TASK, VARIANTS


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_bool(
        "quick",
        False,
        "fewer epochs of fewer mixtures: minutes, an idea of the tables, not their figures",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_list("networks", None, "networks to train (default: all)", flag_values=flag_values)
    absl_flags.DEFINE_string(
        "output_dir",
        None,
        f"folder of the runs and the table (default runs/{TASK}/reproduce, with --quick runs/{TASK}/reproduce_quick)",
        flag_values=flag_values,
    )
    shared_flags.define_corpus_flags(flag_values)
    fields = (
        "corpus",
        "data_dir",
        "subsets",
        "epochs",
        "epoch_examples",
        "batch_size",
        "validation_mixtures",
        "test_mixtures",
        "seed",
    )
    configs.define_field_flags(
        flag_values, dataclasses.replace(VARIANTS["report"], corpus="librispeech"), (*fields, "num_voices")
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Do what the flags say."""
    app.refuse_arguments(arguments)
    startup.load_tensorflow()
    from counting import reproduction

    reproduction.run(flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

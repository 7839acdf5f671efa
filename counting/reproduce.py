"""Reproduce the networks of the student report with its recipe, and compare them with the published metrics.

  python -m counting.reproduce --data_dir=DIR             DIR: any LibriSpeech folder (--download fetches it)
  python -m counting.reproduce --data_dir=DIR --quick     smoke test in minutes; the values are not comparable

Recipe: ten epochs of 100,000 mixtures of one to three speakers, each the mean of random one-second excerpts; Adam with
learning rate 1e-4, batch size 32. The report took training and validation excerpts from the same recordings. So here
each network is evaluated twice: on other excerpts of the training speakers, as in the report, and on unseen speakers.

Writes table.md, table.csv, report.json, curves.png (the best waveform network and the best spectrogram network) and
cuts.png (32 excerpts with true and predicted counts) next to the runs. Run the same command again to resume.
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
from counting.config import TASK, VARIANTS


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_bool(
        "quick",
        False,
        "train fewer epochs of fewer mixtures: a smoke test in minutes, values not comparable",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_list(
        "networks", None, "networks to train, e.g. m5,cnn_2d_2 (default: all)", flag_values=flag_values
    )
    absl_flags.DEFINE_string(
        "output_dir",
        None,
        f"folder for the runs and the table (default runs/{TASK}/reproduce, with --quick runs/{TASK}/reproduce_quick)",
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
    """Reproduce as the flags say."""
    app.refuse_arguments(arguments)
    from counting import published  # loads pandas

    planned = published.plan(flags)
    folder = Path(flags.output_dir or f"runs/{TASK}/reproduce{'_quick' if flags.quick else ''}")
    for network, config in planned.items():
        early.check_run(TASK, config, folder / network, flags)
    early.check_recordings(TASK, next(iter(planned.values())), flags)
    startup.load_tensorflow()
    from counting import reproduction

    reproduction.run(planned, folder, flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

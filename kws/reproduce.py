"""Reproduce the six rows of the student report, and compare them with the published metrics.

  python -m kws.reproduce --data_dir=DIR             DIR: any Speech Commands folder (--download fetches v0.02)
  python -m kws.reproduce --data_dir=DIR --quick     smoke test in minutes; the values are not comparable

Each row has a number of epochs and a batch size. Each row is trained twice: on the report's random split, where test
speakers also occur in training, and on the official split, where they do not. All metrics are of the last epoch, as in
the report. Training metrics are the Keras mean over the batches of the epoch, with dropout and changing weights.
Validation and test metrics are of the network after the epoch.

Writes table.md, table.csv, curves.png and report.json next to the runs. Run the same command again to resume.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags as absl_flags

from common import config as configs
from common import files, startup
from common.cli import app, early
from common.cli import flags as shared_flags
from kws.config import TASK


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_string(
        "data_dir", "data/speech_commands", "folder of Google Speech Commands", flag_values=flag_values
    )
    absl_flags.DEFINE_bool(
        "quick",
        False,
        "train fewer epochs of fewer examples: a smoke test in minutes, values not comparable",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_list(
        "rows", None, "rows to train, as <epochs>x<batch size>, e.g. 5x128 (default: all)", flag_values
    )
    absl_flags.DEFINE_list(
        "seeds",
        ["0"],
        "seeds of the weights and of the random split, e.g. 0,1,2; several give mean ± standard deviation",
        flag_values,
    )
    absl_flags.DEFINE_string(
        "output_dir",
        None,
        f"folder for the runs and the table (default runs/{TASK}/reproduce, with --quick runs/{TASK}/reproduce_quick)",
        flag_values=flag_values,
    )
    shared_flags.define_corpus_flags(flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Reproduce as the flags say."""
    app.refuse_arguments(arguments)
    from kws import published  # loads pandas

    rows, seeds = published.choose_rows(flags.rows), published.parse_seeds(flags.seeds)
    folder = Path(flags.output_dir or f"runs/{TASK}/reproduce{'_quick' if flags.quick else ''}")
    files.check_writable(folder)
    early.check_recordings(TASK, published.report_config(flags.data_dir), flags)
    startup.load_tensorflow()
    from kws import reproduction

    reproduction.run(flags, rows, seeds, folder)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

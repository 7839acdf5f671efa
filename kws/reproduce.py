"""Train the six rows of the student report, and the same on speakers kept apart; print both beside the published figures.

  python -m kws.reproduce --data_dir=DIR             DIR: any Speech Commands folder (--download fetches v0.02)
  python -m kws.reproduce --data_dir=DIR --quick     minutes: an idea of the table, not its figures

Each row has its epochs and its batch size. It is trained twice: on the report's random split, where the speakers of the
test clips are heard in training too, and on the official lists, where they are not. All figures are of the last epoch, as in
the report: training is Keras' mean over the epoch's batches, with dropout and while the weights move; validation and test
are the network at the epoch's end.

Writes table.md, table.csv, curves.png and report.json beside the runs; the same command goes on where it stopped.
"""

import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from common import config as configs
from common import startup
from common.cli import app
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
        "fewer epochs of fewer examples: minutes, an idea of the table, not its figures",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_list("rows", None, "rows to train, epochs x batch, such as 5x128 (default: all)", flag_values)
    absl_flags.DEFINE_list(
        "seeds", ["0"], "seeds of the weights and of the random split; several give mean ± deviation", flag_values
    )
    absl_flags.DEFINE_string(
        "output_dir",
        None,
        f"folder of the runs and the table (default runs/{TASK}/reproduce, with --quick runs/{TASK}/reproduce_quick)",
        flag_values=flag_values,
    )
    shared_flags.define_corpus_flags(flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Do what the flags say."""
    app.refuse_arguments(arguments)
    startup.load_tensorflow()
    from kws import reproduction

    reproduction.run(flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

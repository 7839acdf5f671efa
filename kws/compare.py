"""Train the variant of every encoder on one corpus, export and time each, and write one table.

  python -m kws.compare --corpus=speech_commands --data_dir=DIR
  python -m kws.compare --corpus=speech_commands --data_dir=DIR --variants=res_cnn,bc_resnet --epochs=10

A flag of the configuration changes every variant alike; without it each keeps its own recipe. The runs lie side by side in
--output_dir, and the same command goes on where it stopped. Writes table.csv and table.md; --help explains the columns.

Columns: accuracy on the test split, with its 95 % interval; parameters, all of them; size of the LiteRT file; time that it
takes for one clip, waveform in, on one thread: the median of rounds in which all models take their turn; time and speed
of training alone, without validation; largest difference of the exports' probabilities from the Keras model's.
"""

import sys
from collections.abc import Sequence

from absl import flags as absl_flags

from common import config as configs
from common import startup
from common.cli import app
from common.cli import flags as shared_flags
from kws.config import MODELS, TASK, VARIANTS


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_list(
        "variants",
        list(MODELS),
        f"the variants to compare, any of {', '.join(VARIANTS)}",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_string(
        "output_dir", f"runs/{TASK}/compare", "folder of the runs and of the table", flag_values=flag_values
    )
    shared_flags.define_corpus_flags(flag_values)
    configs.define_field_flags(flag_values, VARIANTS["default"])


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Do what the flags say."""
    app.refuse_arguments(arguments)
    startup.load_tensorflow()
    from kws import comparison

    comparison.run(flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

"""Train, export and time a variant of every encoder on one corpus, and write a table.

  python -m kws.compare --corpus=speech_commands --data_dir=DIR
  python -m kws.compare --corpus=speech_commands --data_dir=DIR --variants=res_cnn,bc_resnet --epochs=10

A configuration flag applies to all variants; without flags each variant keeps its own recipe. Each run is a subfolder
of --output_dir. Run the same command again to resume. Writes table.csv and table.md.

Columns: accuracy on the test split with its 95 % interval; number of parameters, trainable or not; size of the LiteRT
file; LiteRT inference time per clip on one thread, including the features (median over rounds in which the models take
turns); training time and speed, without validation; largest difference between the probabilities of each export and of
the Keras model.
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
        f"variants to compare, separated by commas: {', '.join(VARIANTS)}",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_string(
        "output_dir", f"runs/{TASK}/compare", "folder for the runs and the table", flag_values=flag_values
    )
    shared_flags.define_corpus_flags(flag_values)
    configs.define_field_flags(flag_values, VARIANTS["default"])


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Compare as the flags say."""
    app.refuse_arguments(arguments)
    startup.load_tensorflow()
    from kws import comparison

    comparison.run(flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

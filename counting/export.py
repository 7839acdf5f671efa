"""Export a trained speaker counter, and compare each export with the Keras model on real excerpts.

  python -m counting.export --run_dir runs/counting/default --formats=saved_model,litert

Writes to the folder export/ of the run:
  saved_model, model.tflite   input: waveform; outputs: count, count_probabilities, probabilities, and if the model
                              predicts sexes female and male
  labels.txt                  names of the probabilities
  report.json                 the comparison

The exported models compute the features themselves: their input is the raw waveform.
The excerpts are those kept in the run, or those of --corpus, --data_dir or --split.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app, early, export
from common.cli import flags as shared_flags
from counting.config import COUNTING_CORPORA, TASK, Config


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_export_flags(flag_values, TASK, COUNTING_CORPORA)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export and compare as the flags say."""
    app.refuse_arguments(arguments)
    export.check_formats(flags.formats)
    early.check_export(TASK, Config, flags)
    startup.load_tensorflow()
    from counting import exporting

    export.export(exporting.export_run, flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

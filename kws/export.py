"""Export a trained keyword spotter, and compare each export with the Keras model on real excerpts.

  python -m kws.export --run_dir runs/kws/default --formats=saved_model,litert

Writes to the folder export/ of the run:
  saved_model    input: waveforms; outputs: probabilities, label, accepted
  model.tflite   input: one waveform; output: probabilities; labels.txt and threshold.json belong to it
  report.json    the comparison

The exported models compute the features themselves: their input is the raw waveform. Treat a prediction that is not
accepted as "no keyword". The excerpts are those kept in the run, or those of --corpus, --data_dir or --split.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app, early, export
from common.cli import flags as shared_flags
from kws.config import KWS_CORPORA, TASK, Config


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_export_flags(flag_values, TASK, KWS_CORPORA)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export and compare as the flags say."""
    app.refuse_arguments(arguments)
    export.check_formats(flags.formats)
    early.check_export(TASK, Config, flags)
    startup.load_tensorflow()
    from kws import exporting

    export.export(exporting.export_run, flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

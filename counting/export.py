"""Export a trained speaker counter, and compare each file with the Keras model on real excerpts.

  python -m counting.export --run_dir runs/counting/default --formats=saved_model,litert

Writes export/saved_model and export/model.tflite (waveform in; count, female, male, count_probabilities and
probabilities out; female and male where the model knows sexes), labels.txt, which names the probabilities, and
report.json. The features are inside: the waveform is all that is needed.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app, export
from common.cli import flags as shared_flags
from counting.config import COUNTING_CORPORA, TASK


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_export_flags(flag_values, TASK, COUNTING_CORPORA)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export and compare as the flags say."""
    app.refuse_arguments(arguments)
    export.check_formats(flags.formats)
    startup.load_tensorflow()
    from counting import exporting

    export.export(exporting.export_run, flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

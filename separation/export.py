"""Export a trained separator, and compare each file with the Keras model on real excerpts.

  python -m separation.export --run_dir runs/separation/default --formats=saved_model,litert

Writes export/saved_model, which separates songs of any length, export/model.tflite, which separates one window, and
export/report.json, which lists sample rate, channels, window and hop. The models take and return waveforms.
The excerpts are those kept in the run, or those of --corpus, --data_dir or --split.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app, early, export
from common.cli import flags as shared_flags
from separation.config import SEPARATION_CORPORA, TASK, Config


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_export_flags(flag_values, TASK, SEPARATION_CORPORA)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export the run, and compare each file with the Keras model."""
    app.refuse_arguments(arguments)
    export.check_formats(flags.formats)
    early.check_export(TASK, Config, flags)
    startup.load_tensorflow()
    from separation import exporting

    export.export(exporting.export_run, flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

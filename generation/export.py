"""Export a trained generator: a model from noise or a seed to a waveform.

  python -m generation.export --run_dir runs/generation/default

Writes export/saved_model with three signatures. `serving_default` takes noise `(batch, steps, noise_dim)`, and
`from_seed` takes an integer; both return `waveform` and `spectrogram` (in decibels). `from_spectrogram` converts
spectrograms of any length to audio. The exports include the scaling of decibels and Griffin-Lim. report.json lists the
differences to the Keras model; `from_spectrogram` is compared on recordings.
The excerpts are those kept in the run, or those of --corpus, --data_dir or --split.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app, early, export
from common.cli import flags as shared_flags
from generation.config import GENERATION_CORPORA, TASK, Config


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_export_flags(flag_values, TASK, GENERATION_CORPORA, formats=("saved_model",))


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export the run, and compare each export with the Keras model."""
    app.refuse_arguments(arguments)
    export.check_formats(flags.formats)
    early.check_export(TASK, Config, flags)
    startup.load_tensorflow()
    from generation import exporting

    export.export(exporting.export_run, flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

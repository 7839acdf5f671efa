"""Export a trained generator: noise or a seed in, a waveform out.

  python -m generation.export --run_dir runs/generation/default

Writes export/saved_model, whose signature `serving_default` takes noise `(batch, steps, noise_dim)` and `from_seed` a
whole number; both give `waveform` and `spectrogram` (in decibels). A third, `from_spectrogram`, turns spectrograms of any
length into audio. Networks, the scale of decibels and the way back to audio are inside. report.json says how far all are
from the Keras model; the way back is compared on recordings.
"""

import sys
from collections.abc import Sequence

from common import config as configs
from common import startup
from common.cli import app, export
from common.cli import flags as shared_flags
from generation.config import GENERATION_CORPORA, TASK


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    shared_flags.define_export_flags(flag_values, TASK, GENERATION_CORPORA, formats=("saved_model",))


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export and compare as the flags say."""
    app.refuse_arguments(arguments)
    export.check_formats(flags.formats)
    startup.load_tensorflow()
    from generation import exporting

    export.export(exporting.export_run, flags)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

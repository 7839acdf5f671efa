"""Export a trained generator: noise or a seed in, a waveform out.

  python -m generation.export --run_dir runs/generation/default

Writes export/saved_model, whose signature `serving_default` takes noise `(batch, steps, noise_dim)` and `from_seed` a
whole number; both give `waveform` and `spectrogram` (in decibels). Networks, the scale of decibels and the way back to
audio are inside. report.json says how far both are from the Keras model.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from absl import flags as absl_flags

from common import config as configs
from common import export, files
from common.cli import app
from generation import noise
from generation.config import TASK
from generation.models import Gan, draw_noise, load_model

_NUM_EXCERPTS = 2
_SEED = 1
# Of decibels, and of samples of a waveform that Griffin-Lim found: its steps let differences grow.
_TOLERANCE_DB, _TOLERANCE = 1e-2, 1e-2


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    app.define_run_flags(flag_values, TASK)
    absl_flags.DEFINE_list(
        "formats",
        ["saved_model"],
        "any of saved_model (noise or a seed in) and litert (noise in, the spectrogram out)",
        flag_values=flag_values,
    )


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export and compare as the flags say."""
    app.refuse_arguments(arguments)
    export.check_formats(flags.formats)
    export_run(flags.run_dir, flags.formats)
    print(f"written: {Path(flags.run_dir) / 'export'}")


def export_run(run_dir: str | Path, formats: Sequence[str] = ("saved_model",)) -> dict:
    """Write the exports of a run, compare each with the Keras model, and write `report.json` beside them.

    Returns:
        The report: for each output of each format its figures of `common.export.compare`, and `protocol`.

    Raises:
        UserError: The run cannot be loaded, or an export answers differently from the model.
    """
    config, model = load_model(run_dir)
    folder = Path(run_dir) / "export"
    files.check_writable(folder)
    steps = noise.draw(config, _NUM_EXCERPTS, (_SEED, 0))
    expected = {name: value.numpy() for name, value in serve(model, steps).items()}
    tolerances = {"spectrogram": _TOLERANCE_DB, "waveform": _TOLERANCE}
    report = {}
    if "saved_model" in formats:
        signature = tf.TensorSpec((None, steps.shape[1], config.noise_dim), tf.float32, name="noise")
        path = folder / "saved_model"
        export.write_saved_model(
            model,
            lambda noise_steps: serve(model, noise_steps),
            signature,
            path,
            {
                "from_seed": (
                    lambda seed: serve(model, draw_noise(config, 1, tf.stack([seed, 0]))),
                    tf.TensorSpec((), tf.int32, name="seed"),
                )
            },
        )
        for name, tolerance in tolerances.items():
            received = export.run_saved_model(path, steps, name)
            report[f"saved_model {name}"] = export.compare(f"saved_model {name}", expected[name], received, tolerance)
    if "litert" in formats:
        signature = tf.TensorSpec((1, steps.shape[1], config.noise_dim), tf.float32, name="noise")
        path = folder / "model.tflite"
        export.write_litert(model, signature, path, lambda noise_steps: {"spectrogram": decibels(model, noise_steps)})
        received = export.run_litert(path, steps, "spectrogram")
        report["litert spectrogram"] = export.compare("litert", expected["spectrogram"], received, _TOLERANCE_DB)
    report["protocol"] = {
        "sample_rate": config.sample_rate,
        "hop_length": config.hop_length,
        "noise_shape": list(steps.shape[1:]),
        "noise": config.noise,
        "style_dim": config.style_dim,
    }
    files.write_json(folder / "report.json", report)
    return report


def decibels(model: Gan, noise_steps: tf.Tensor) -> tf.Tensor:
    """Return the spectrograms `(batch, frames, bands)` of noise, in decibels."""
    return model.spectra.unscaled(model(noise_steps)[:, : model.config.frames])


def serve(model: Gan, noise_steps: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the waveforms `(batch, samples)` of noise, and their spectrograms."""
    spectrograms = model(noise_steps)[:, : model.config.frames]
    return {"waveform": model.spectra.waveforms(spectrograms), "spectrogram": model.spectra.unscaled(spectrograms)}


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

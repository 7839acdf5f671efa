"""Export a trained keyword spotter, and compare each file with the Keras model on real excerpts.

  python -m kws.export --run_dir runs/kws/default --formats=saved_model,litert

Writes export/saved_model (waveform in; probabilities and label out), export/model.tflite (one waveform in, probabilities
out) with labels.txt, and report.json. The features are inside: the waveform is all that is needed.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import flags as absl_flags

from common import app, export, files
from common import config as configs
from common.errors import UserError, nearest
from kws import data
from kws.config import TASK, Config
from kws.models import load_model

_NUM_EXCERPTS = 32
_TOLERANCE = 1e-4


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    app.define_run_flags(flag_values, TASK)
    app.define_corpus_flags(flag_values)
    absl_flags.DEFINE_list(
        "formats", list(export.FORMATS), f"any of {', '.join(export.FORMATS)}", flag_values=flag_values
    )
    absl_flags.DEFINE_string(
        "corpus", None, "corpus of the excerpts to compare on, if not the trained one", flag_values=flag_values
    )
    absl_flags.DEFINE_string("data_dir", None, "folder of that corpus", flag_values=flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export and compare as the flags say."""
    app.refuse_arguments(arguments)
    for name in flags.formats:
        if name not in export.FORMATS:
            raise UserError(
                f'--formats: unknown "{name}", expected any of {", ".join(export.FORMATS)}.{nearest(name, export.FORMATS)}'
            )
    config, model = load_model(flags.run_dir)
    corpus = data.load_corpus(
        data.with_corpus(config, flags.corpus, flags.data_dir), flags.shards_dir, download=flags.download, trained=True
    )
    dataset = data.build_dataset(corpus, data.prepare_split(corpus, "test"))
    excerpts = np.concatenate([waveforms for waveforms, _ in dataset])[:_NUM_EXCERPTS]
    expected = model.predict(excerpts, verbose=0)

    folder = Path(flags.run_dir) / "export"
    report = {}
    if "saved_model" in flags.formats:
        signature = tf.TensorSpec((None, config.num_samples), tf.float32, name="waveform")
        export.write_saved_model(model, serving_function(model, config), signature, folder / "saved_model")
        received = export.run_saved_model(folder / "saved_model", excerpts, "probabilities")
        report["saved_model"] = export.compare("saved_model", expected, received, _TOLERANCE)
    if "litert" in flags.formats:
        signature = tf.TensorSpec((1, config.num_samples), tf.float32, name="waveform")
        export.write_litert(model, signature, folder / "model.tflite")
        received = export.run_litert(folder / "model.tflite", excerpts)
        report["litert"] = export.compare("litert", expected, received, _TOLERANCE)
        report["litert"]["bytes"] = (folder / "model.tflite").stat().st_size
        files.write_text(folder / "labels.txt", "\n".join(config.labels) + "\n")
    protocol = {
        "corpus": corpus.config.corpus,
        "split": "test",
        "sample_rate": config.sample_rate,
        "labels": config.labels,
    }
    files.write_json(folder / "report.json", {**report, "protocol": protocol})
    print(f"written: {folder}")


def serving_function(model: keras.Model, config: Config):
    """Return the SavedModel's function: a waveform `(batch, num_samples)` to `probabilities` and the best `label`."""
    labels = tf.constant(config.labels)

    def serve(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = model(waveform, training=False)
        label = tf.gather(labels, tf.argmax(probabilities, axis=-1))
        return {"probabilities": probabilities, "label": label, "labels": labels}

    return serve


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

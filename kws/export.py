"""Export a trained keyword spotter, and compare each file with the Keras model on real excerpts.

  python -m kws.export --run_dir runs/kws/default --formats=saved_model,litert

Writes export/saved_model (waveform in; probabilities, label and accepted out), export/model.tflite (one waveform in,
probabilities out) with labels.txt and threshold.json, and report.json. The features are inside: the waveform is all
that is needed. An answer that is not accepted is to be taken for no keyword.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import config as configs
from common import export, files
from common.cli import app
from kws import acceptance, data
from kws.config import KWS_CORPORA, SILENCE, TASK, UNKNOWN, Config
from kws.models import load_model

_NUM_EXCERPTS = 32
_TOLERANCE = 1e-4


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    app.define_run_flags(flag_values, TASK)
    app.define_corpus_flags(flag_values)
    app.define_other_corpus_flags(flag_values, KWS_CORPORA)
    export.define_formats_flag(flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export and compare as the flags say."""
    app.refuse_arguments(arguments)
    export.check_formats(flags.formats)
    folder = Path(flags.run_dir) / "export"
    export_run(
        flags.run_dir,
        flags.formats,
        shards_dir=flags.shards_dir,
        corpus=flags.corpus,
        data_dir=flags.data_dir,
        download=flags.download,
    )
    print(f"written: {folder}")


def export_run(
    run_dir: str | Path,
    formats: Sequence[str] = export.FORMATS,
    *,
    shards_dir: str | Path = "data/shards",
    corpus: str | None = None,
    data_dir: str | None = None,
    download: bool = False,
) -> dict:
    """Write the exports of a run, compare each with the Keras model, and write `report.json` beside them.

    Args:
        run_dir: A trained run.
        formats: Any of `common.export.FORMATS`.
        shards_dir: Where decoded recordings are kept.
        corpus: Corpus of the excerpts to compare on, if not the trained one.
        data_dir: Folder of that corpus.
        download: Whether to fetch a corpus that is not there.

    Returns:
        The report: for each format its figures of `common.export.compare`, and `protocol`.

    Raises:
        UserError: The run cannot be loaded, or an export answers differently from the model.
    """
    config, model = load_model(run_dir)
    folder = Path(run_dir) / "export"
    files.check_writable(folder)
    threshold = acceptance.load_threshold(run_dir)
    elsewhere = corpus is not None or data_dir is not None
    recordings = data.load_corpus(
        data.with_corpus(config, corpus, data_dir), shards_dir, download=download, trained=elsewhere
    )
    dataset = data.build_dataset(recordings, data.prepare_split(recordings, "test"))
    excerpts = np.concatenate([waveforms for waveforms, _ in dataset])[:_NUM_EXCERPTS]
    expected = model.predict(excerpts, verbose=0)
    report = {}
    if "saved_model" in formats:
        signature = tf.TensorSpec((None, config.num_samples), tf.float32, name="waveform")
        serve = serving_function(model, config, threshold)
        export.write_saved_model(model, serve, signature, folder / "saved_model")
        received = export.run_saved_model(folder / "saved_model", excerpts, "probabilities")
        report["saved_model"] = export.compare("saved_model", expected, received, _TOLERANCE)
    if "litert" in formats:
        signature = tf.TensorSpec((1, config.num_samples), tf.float32, name="waveform")
        export.write_litert(model, signature, folder / "model.tflite")
        received = export.run_litert(folder / "model.tflite", excerpts)
        report["litert"] = export.compare("litert", expected, received, _TOLERANCE)
        report["litert"]["bytes"] = (folder / "model.tflite").stat().st_size
        files.write_text(folder / "labels.txt", "\n".join(config.labels) + "\n")
        keywords = [label for label in config.labels if label not in (SILENCE, UNKNOWN)]
        stored = {"threshold": threshold, "rule": acceptance.RULE, "keywords": keywords}
        files.write_json(folder / acceptance.FILE, stored)
    report["protocol"] = {
        "corpus": recordings.config.corpus,
        "split": "test",
        "sample_rate": config.sample_rate,
        "labels": config.labels,
        "threshold": threshold,
    }
    files.write_json(folder / "report.json", report)
    return report


def serving_function(model: keras.Model, config: Config, threshold: float):
    """Return the SavedModel's function, which answers as `inference.classify` does.

    It takes a waveform `(batch, num_samples)` to `probabilities` `(batch, labels)`, whether the likeliest keyword is
    `accepted` `(batch,)`, and the `label` `(batch,)`: that keyword, or else the likeliest of all labels.
    """
    labels = tf.constant(config.labels)
    keywords = tf.constant(acceptance.is_keyword(config.labels))

    def serve(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = model(waveform, training=False)
        scores = tf.where(keywords, probabilities, 0.0)
        accepted = tf.reduce_max(scores, axis=-1) >= threshold
        best = tf.where(accepted, tf.argmax(scores, axis=-1), tf.argmax(probabilities, axis=-1))
        return {
            "probabilities": probabilities,
            "label": tf.gather(labels, best),
            "accepted": accepted,
            "labels": labels,
            "threshold": tf.constant(threshold, tf.float32),
        }

    return serve


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

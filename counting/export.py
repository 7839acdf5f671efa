"""Export a trained speaker counter, and compare each file with the Keras model on real excerpts.

  python -m counting.export --run_dir runs/counting/default --formats=saved_model,litert

Writes export/saved_model and export/model.tflite (waveform in; count, female, male, count_probabilities and
probabilities out; female and male where the model knows sexes), labels.txt, which names the probabilities, and
report.json. The features are inside: the waveform is all that is needed.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from common import config as configs
from common import export, files
from common.cli import app
from counting import data, serving
from counting.config import COUNTING_CORPORA, TASK
from counting.models import load_model

_NUM_EXCERPTS = 32
_TOLERANCE = 1e-4


def define_flags(flag_values: configs.FlagValues) -> None:
    """Define the flags of this entry point."""
    app.define_run_flags(flag_values, TASK)
    app.define_corpus_flags(flag_values)
    app.define_other_corpus_flags(flag_values, COUNTING_CORPORA)
    export.define_formats_flag(flag_values)


def main(flags: configs.FlagValues, arguments: Sequence[str]) -> None:
    """Export and compare as the flags say."""
    app.refuse_arguments(arguments)
    export.check_formats(flags.formats)
    export_run(
        flags.run_dir,
        flags.formats,
        shards_dir=flags.shards_dir,
        corpus=flags.corpus,
        data_dir=flags.data_dir,
        download=flags.download,
    )
    print(f"written: {Path(flags.run_dir) / 'export'}")


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
    # Noise is not needed, and may be gone.
    elsewhere = dataclasses.replace(data.with_corpus(config, corpus, data_dir), noise_dir="")
    recordings = data.load_corpus(elsewhere, shards_dir, download=download)
    split = data.prepare_split(recordings, "test")
    as_evaluated = data.as_evaluated(recordings.config)
    dataset = data.build_dataset(as_evaluated, split, num_examples=_NUM_EXCERPTS, sexes_needed=False)
    excerpts = np.concatenate([waveforms for waveforms, _ in dataset])[:_NUM_EXCERPTS]
    expected = model.predict(excerpts, verbose=0)

    def serve(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        return serving.decide(config, model(waveform, training=False))

    report = {}
    if "saved_model" in formats:
        signature = tf.TensorSpec((None, config.num_samples), tf.float32, name="waveform")
        export.write_saved_model(model, serve, signature, folder / "saved_model")
        received = export.run_saved_model(folder / "saved_model", excerpts, "probabilities")
        report["saved_model"] = export.compare("saved_model", expected, received, _TOLERANCE)
    if "litert" in formats:
        signature = tf.TensorSpec((1, config.num_samples), tf.float32, name="waveform")
        export.write_litert(model, signature, folder / "model.tflite", serve)
        received = export.run_litert(folder / "model.tflite", excerpts, "probabilities")
        report["litert"] = export.compare("litert", expected, received, _TOLERANCE)
        report["litert"]["bytes"] = (folder / "model.tflite").stat().st_size
    files.write_text(folder / "labels.txt", "\n".join(config.labels) + "\n")
    report["protocol"] = {
        "corpus": recordings.config.corpus,
        "split": "test",
        "sample_rate": config.sample_rate,
        "labels": config.labels,
        "counts": config.counts,
    }
    files.write_json(folder / "report.json", report)
    return report


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

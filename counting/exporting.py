"""What a speaker counter exports: how many speak, and how many women and men.

The four tasks have `export_run` alike on purpose, in the same order, to be read from top to bottom; what is the same logic is shared.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import export, files
from common.export import graphs
from common.export.graphs import Graph
from counting import data, serving
from counting.config import Config
from counting.models import load_model

_NUM_EXCERPTS = 32
_TOLERANCE = 1e-4


def export_run(
    run_dir: str | Path,
    formats: Sequence[str] = export.FORMATS,
    *,
    corpus: str | None = None,
    data_dir: str | None = None,
    split: str = "test",
    shards_dir: str | Path = "data/shards",
    download: bool = False,
) -> dict:
    """Write the exports of a run, compare each with the Keras model, and write `report.json` beside them.

    Args:
        run_dir: A trained run.
        formats: Any of `common.export.FORMATS`.
        corpus: Corpus of the excerpts to compare on, if not the trained one.
        data_dir: Folder of that corpus.
        split: Whose speakers.
        shards_dir: Where decoded recordings are kept.
        download: Whether to fetch a corpus that is not there.

    Returns:
        The report: for each format its figures of `common.export.graphs.compare`, and `protocol`.

    Raises:
        UserError: The run cannot be loaded, or an export answers differently from the model.
    """
    config, model = load_model(run_dir)
    folder = Path(run_dir) / "export"
    files.check_writable(folder)
    # Noise is not needed, and may be gone.
    elsewhere = dataclasses.replace(data.with_corpus(config, corpus, data_dir), noise_dir="")
    recordings = data.load_corpus(elsewhere, shards_dir, download=download)
    as_evaluated = data.as_evaluated(recordings.config)
    dataset = data.build_dataset(
        as_evaluated, data.prepare_split(recordings, split), num_examples=_NUM_EXCERPTS, sexes_needed=False
    )
    excerpts = np.concatenate([waveforms for waveforms, _ in dataset])[:_NUM_EXCERPTS]
    written = graphs_of(model, config, excerpts)
    report = graphs.write_all(model, {name: written[name] for name in formats}, folder)
    files.write_text(folder / "labels.txt", "\n".join(config.labels) + "\n")
    report["protocol"] = {
        "corpus": recordings.config.corpus,
        "split": split,
        "sample_rate": config.sample_rate,
        "labels": config.labels,
        "counts": config.counts,
    }
    files.write_json(folder / "report.json", report)
    return report


def graphs_of(model: keras.Model, config: Config, excerpts: np.ndarray) -> dict:
    """Return what each format gets: the same answers, LiteRT one clip at a time."""
    checked = {
        "inputs": excerpts,
        "expected": {"probabilities": model.predict(excerpts, verbose=0)},
        "tolerances": {"probabilities": _TOLERANCE},
    }

    def serve(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        return serving.decide(config, model(waveform, training=False))

    def graph(batch: int | None) -> Graph:
        return Graph(serve, tf.TensorSpec((batch, config.num_samples), tf.float32, name="waveform"), **checked)

    return {"saved_model": lambda: graph(None), "litert": lambda: graph(1)}

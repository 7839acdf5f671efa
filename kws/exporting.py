"""Export of a keyword spotter: a model that returns probabilities, and as a SavedModel also the word.

`export_run` has the same steps in the same order in all four tasks, on purpose. Shared logic is in `common`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import export, files
from common.export import excerpts, front_end, graphs
from common.export.front_end import Detached
from common.export.graphs import Graph
from kws import acceptance, data
from kws.config import SILENCE, UNKNOWN, Config
from kws.models import load_model

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
    """Export a run, compare each export with the Keras model, and write `report.json`.

    Args:
        run_dir: A trained run.
        formats: Any of `common.export.FORMATS`.
        corpus: Corpus of the excerpts to compare on; None for the one trained on.
        data_dir: Folder of that corpus.
        split: Split of the excerpts. With `test`, and neither corpus nor folder given, those kept in the run are used.
        shards_dir: Folder of the decoded recordings.
        download: Whether to download a missing corpus.

    Returns:
        The report: the values of `common.export.graphs.compare` for each format, and `protocol`.

    Raises:
        UserError: The run cannot be loaded, or the predictions of an export differ from the model's.
    """
    config, model = load_model(run_dir)
    folder = Path(run_dir) / "export"
    files.check_writable(folder)
    threshold = acceptance.operating_point(run_dir).threshold

    def read() -> np.ndarray:
        elsewhere = data.with_corpus(config, corpus, data_dir)
        recordings = data.load_corpus(elsewhere, shards_dir, download=download, trained=elsewhere != config)
        return data.export_excerpts(recordings.config, data.prepare_split(recordings, split))

    shape = (config.num_samples,)
    clips, source = excerpts.choose(run_dir, shape, read, corpus=corpus, data_dir=data_dir, split=split)
    exported = front_end.detach(model, clips, folder)
    written = graphs_of(exported, config, threshold)
    report = graphs.write_all(exported.model, {name: written[name] for name in formats}, folder) | exported.report
    if "litert" in formats:
        files.write_text(folder / "labels.txt", "\n".join(config.labels) + "\n")
        keywords = [label for label in config.labels if label not in (SILENCE, UNKNOWN)]
        stored = {"threshold": threshold, "rule": acceptance.RULE, "keywords": keywords}
        files.write_json(folder / acceptance.FILE, stored)
    report["protocol"] = {
        "corpus": corpus or config.corpus,
        "split": split,
        "excerpts": source,
        "sample_rate": config.sample_rate,
        "labels": config.labels,
        "threshold": threshold,
    }
    files.write_json(folder / "report.json", report)
    return report


def graphs_of(exported: Detached, config: Config, threshold: float) -> dict:
    """Return the graph of each format: the SavedModel returns words too, LiteRT (no strings) only probabilities."""
    checked = exported.checked("probabilities", _TOLERANCE)
    served = Graph(serving_function(exported.model, config, threshold), exported.signature(None), **checked)
    bare = graphs.probabilities_of(exported.model, exported.signature(1))
    return {"saved_model": lambda: served, "litert": lambda: dataclasses.replace(bare, **checked)}


def serving_function(model: keras.Model, config: Config, threshold: float):
    """Return the SavedModel's function; its predictions match `KeywordSpotter.classify`.

    It maps waveforms `(batch, num_samples)`, or with a LiteRT file as front end embeddings `(batch, size)`, to
    `probabilities` `(batch, labels)`, `accepted` `(batch,)`, which says whether the likeliest keyword reaches the
    threshold, and `label` `(batch,)`: that keyword if accepted, else the likeliest of all labels. It also returns the
    constants `labels` and `threshold`.
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

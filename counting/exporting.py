"""Export of a speaker counter: a model that returns the count and the numbers of women and men.

`export_run` has the same steps in the same order in all four tasks, on purpose. Shared logic is in `common`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from common import export, files
from common.export import excerpts, front_end, graphs
from common.export.front_end import Detached
from common.export.graphs import Graph
from counting import data, serving
from counting.config import Config
from counting.models import load_model

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

    def read() -> np.ndarray:
        # Noise is not needed, and its folder may no longer exist.
        quiet = dataclasses.replace(config, noise_dir="")
        recordings = data.load_corpus(data.with_corpus(quiet, corpus, data_dir), shards_dir, download=download)
        return data.export_excerpts(recordings.config, data.prepare_split(recordings, split))

    shape = (config.num_samples,)
    clips, source = excerpts.choose(run_dir, shape, read, corpus=corpus, data_dir=data_dir, split=split)
    exported = front_end.detach(model, clips, folder)
    written = graphs_of(exported, config)
    report = graphs.write_all(exported.model, {name: written[name] for name in formats}, folder) | exported.report
    files.write_text(folder / "labels.txt", "\n".join(config.labels) + "\n")
    report["protocol"] = {
        "corpus": corpus or config.corpus,
        "split": split,
        "excerpts": source,
        "sample_rate": config.sample_rate,
        "labels": config.labels,
        "counts": config.counts,
    }
    files.write_json(folder / "report.json", report)
    return report


def graphs_of(exported: Detached, config: Config) -> dict:
    """Return the graph of each format: the same outputs, with a batch size of 1 for LiteRT."""
    checked = exported.checked("probabilities", _TOLERANCE)

    def serve(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return serving.decide(config, exported.model(inputs, training=False))

    def graph(batch: int | None) -> Graph:
        return Graph(serve, exported.signature(batch), **checked)

    return {"saved_model": lambda: graph(None), "litert": lambda: graph(1)}

"""Export a separator: a graph that separates songs, and a graph that separates one window.

`export_run` has the same steps in the same order in all four tasks, on purpose. Shared logic is in `common`.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import export, files
from common.export import excerpts, graphs
from common.export.graphs import Graph
from separation import data, serving
from separation.config import Config
from separation.models import for_inference, load_model, window_stems

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
    """Export a run, compare each export with the Keras model, and write `report.json` to the same folder.

    Args:
        run_dir: A trained run.
        formats: Any of `common.export.FORMATS`.
        corpus: Corpus of the excerpts to compare on. Defaults to the training corpus.
        data_dir: Folder of that corpus.
        split: Split of the excerpts. With `test`, and neither corpus nor folder given, those kept in the run are used.
        shards_dir: Folder of decoded tracks.
        download: Whether to download the corpus if it is missing.

    Returns:
        The report: for each format the values of `common.export.graphs.compare`, and `protocol`.

    Raises:
        UserError: The run cannot be loaded, or the output of an export differs from that of the model.
    """
    config, model = load_model(run_dir)
    folder = Path(run_dir) / "export"
    files.check_writable(folder)

    def read() -> np.ndarray:
        recordings = data.load_corpus(data.with_corpus(config, corpus, data_dir), shards_dir, download=download)
        return data.export_excerpts(recordings.config, data.prepare_split(recordings, split))

    shape = (config.export_samples, config.num_channels)
    mixtures, source = excerpts.choose(run_dir, shape, read, corpus=corpus, data_dir=data_dir, split=split)
    written = {
        "saved_model": lambda: song_graph(model, config, mixtures[:1]),
        "litert": lambda: window_graph(model, config, mixtures[:, : config.window_samples]),
    }
    report = graphs.write_all(model, {name: written[name] for name in formats}, folder)
    report["protocol"] = {
        "corpus": corpus or config.corpus,
        "split": split,
        "excerpts": source,
        "stems": config.stems,
        "sample_rate": config.sample_rate,
        "channels": config.num_channels,
        "window_samples": config.window_samples,
        "hop_samples": config.window_hop,
    }
    files.write_json(folder / "report.json", report)
    return report


def song_graph(model: keras.Model, config: Config, song: np.ndarray) -> Graph:
    """Return the graph that separates songs of any length."""

    def serve(mixture: tf.Tensor) -> dict[str, tf.Tensor]:
        signature = tf.TensorSpec((len(config.stems), None, config.num_channels), tf.float32)
        stems = tf.map_fn(lambda one: serving.overlap_add(model, config, one), mixture, fn_output_signature=signature)
        return {stem: stems[:, index] for index, stem in enumerate(config.stems)}

    expected = for_inference(model, config).separate(song[0]).waveforms[None]
    signature = tf.TensorSpec((None, None, config.num_channels), tf.float32, name="mixture")
    return _checked(config, serve, signature, song, expected)


def window_graph(model: keras.Model, config: Config, windows: np.ndarray) -> Graph:
    """Return the graph that separates one window."""

    def serve(mixture: tf.Tensor) -> dict[str, tf.Tensor]:
        stems = window_stems(model, config, mixture)
        return {stem: stems[:, index] for index, stem in enumerate(config.stems)}

    expected = for_inference(model, config).run(windows)
    signature = tf.TensorSpec((1, config.window_samples, config.num_channels), tf.float32, name="mixture")
    return _checked(config, serve, signature, windows, expected)


def _checked(
    config: Config, serve: graphs.Serve, signature: tf.TensorSpec, inputs: np.ndarray, expected: np.ndarray
) -> Graph:
    """Return the graph, with a reference output for each stem.

    Args:
        config: Names of the stems.
        serve: The function to export.
        signature: Its input.
        inputs: Examples to compare on.
        expected: Outputs of the Keras model, shape `(inputs, stems, samples, channels)`.
    """
    by_stem = {stem: expected[:, index] for index, stem in enumerate(config.stems)}
    return Graph(serve, signature, inputs, by_stem, dict.fromkeys(by_stem, _TOLERANCE))

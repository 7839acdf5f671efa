"""Export a generator: graphs from noise or a seed to waveforms and spectrograms.

`export_run` has the same steps in the same order in all four tasks, on purpose. Shared logic is in `common`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from common import files
from common.export import excerpts, graphs, saved_model
from common.export.graphs import Graph
from common.seeds import stream_seed
from generation import data, noise
from generation.models import Gan, draw_noise, load_model

_NUM_PIECES = 2
_FROM_SPECTROGRAM = "from_spectrogram"
# For decibels, and for the waveforms of Griffin-Lim, whose iterations amplify differences.
_TOLERANCE_DB, _TOLERANCE = 1e-2, 1e-2


def export_run(
    run_dir: str | Path,
    formats: Sequence[str] = ("saved_model",),
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
        corpus: Corpus of the excerpts for the comparison of `from_spectrogram`. Defaults to the training corpus.
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
    steps = noise.draw(config, _NUM_PIECES, (stream_seed(0, "generation.exported"), 0))
    written = {"saved_model": lambda: audio_graph(model, steps), "litert": lambda: spectrogram_graph(model, steps)}
    report = graphs.write_all(model, {name: written[name] for name in formats}, folder)

    def read() -> np.ndarray:
        recordings = data.load_corpus(data.with_corpus(config, corpus, data_dir), shards_dir, download=download)
        return data.export_excerpts(config, data.prepare_split(recordings, split))

    shape, source = (config.num_samples,), "none"
    if "saved_model" in formats:
        waveforms, source = excerpts.choose(run_dir, shape, read, corpus=corpus, data_dir=data_dir, split=split)
        report["saved_model from_spectrogram"] = compare_way_back(model, waveforms, folder / saved_model.FILE)
    report["protocol"] = {
        "corpus": corpus or config.corpus,
        "split": split,
        "excerpts": source,
        "sample_rate": config.sample_rate,
        "hop_length": config.hop_length,
        "noise_shape": list(steps.shape[1:]),
        "noise": config.noise,
        "style_dim": config.style_dim,
    }
    files.write_json(folder / "report.json", report)
    return report


def audio_graph(model: Gan, steps: np.ndarray) -> Graph:
    """Return the graph from noise `(batch, steps, noise_dim)`, or from a seed, to waveforms and spectrograms."""
    config = model.config
    from_seed = (
        lambda seed: serve(model, draw_noise(config, 1, tf.stack([seed, 0]))),
        tf.TensorSpec((), tf.int32, name="seed"),
    )
    from_spectrogram = (
        lambda decibels: {"waveform": model.spectra.waveforms(model.spectra.scaled(decibels))},
        tf.TensorSpec((None, None, config.bands), tf.float32, name="spectrogram"),
    )
    return Graph(
        lambda noise_steps: serve(model, noise_steps),
        tf.TensorSpec((None, steps.shape[1], config.noise_dim), tf.float32, name="noise"),
        steps,
        {name: value.numpy() for name, value in serve(model, steps).items()},
        {"spectrogram": _TOLERANCE_DB, "waveform": _TOLERANCE},
        {"from_seed": from_seed, _FROM_SPECTROGRAM: from_spectrogram},
    )


def spectrogram_graph(model: Gan, steps: np.ndarray) -> Graph:
    """Return the graph from noise to spectrograms, for LiteRT, which cannot compute the waveforms."""
    signature = tf.TensorSpec((1, steps.shape[1], model.config.noise_dim), tf.float32, name="noise")
    return Graph(
        lambda noise_steps: {"spectrogram": decibels(model, noise_steps)},
        signature,
        steps,
        {"spectrogram": decibels(model, steps).numpy()},
        {"spectrogram": _TOLERANCE_DB},
    )


def compare_way_back(model: Gan, waveforms: np.ndarray, path: Path) -> dict:
    """Compare the SavedModel's conversion of spectrograms to audio with the model's.

    Args:
        model: The model.
        waveforms: Excerpts of recordings, shape `(excerpts, samples)`.
        path: The SavedModel.
    """
    spectra = model.spectra
    decibels_of_excerpts = spectra.decibels(tf.constant(waveforms))
    expected = spectra.waveforms(spectra.scaled(decibels_of_excerpts)).numpy()
    received = saved_model.run(path, decibels_of_excerpts.numpy(), "waveform", _FROM_SPECTROGRAM)
    return graphs.compare(f"saved_model {_FROM_SPECTROGRAM}", expected, received, _TOLERANCE)


def decibels(model: Gan, noise_steps: tf.Tensor) -> tf.Tensor:
    """Generate spectrograms `(batch, frames, bands)` in decibels from noise."""
    return model.spectra.unscaled(model(noise_steps)[:, : model.config.frames])


def serve(model: Gan, noise_steps: tf.Tensor) -> dict[str, tf.Tensor]:
    """Generate waveforms `(batch, samples)` and their spectrograms from noise."""
    spectrograms = model(noise_steps)[:, : model.config.frames]
    return {"waveform": model.spectra.waveforms(spectrograms), "spectrogram": model.spectra.unscaled(spectrograms)}

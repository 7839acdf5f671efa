"""Evaluate a generator: metrics of samples and of recordings, tables and plots."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from common import files, progress
from common.reporting import metrics as metrics_of_all
from common.reporting import plots
from common.seeds import stream_seed
from generation import callbacks, data, metrics, reference_metrics, snapshots
from generation.config import NUM_SAMPLES
from generation.models import Gan
from generation.spectra import resize

_SEED = (stream_seed(0, "generation.evaluated"), 1)
_REDUCED = (32, 32)
_NUM_SHOWN = 8
_EVOLUTION_EPOCHS, _EVOLUTION_SAMPLES = 6, 3
_BATCH = 8
_MIN_TO_EXTRAPOLATE = 8
_FEWEST_TRACKS = 5
_TITLES = {
    "generated": "generated",
    "generated_audio": "generated, through audio",
    "train": "real, training tracks (floor)",
    "train_audio": "real, training tracks, through audio",
    "reduced": "real, test tracks, through 32x32",
}
_COLUMNS = ("frechet_distance", "precision", "recall", "density", "coverage", "spread_ratio")


@dataclasses.dataclass(frozen=True)
class Metrics(metrics_of_all.Metrics):
    """Metrics of a generator.

    Attributes:
        frechet_distance: Fréchet distance between samples and the recordings of the test split.
        floor: Fréchet distance between training recordings and those of the test split.
        precision: Fraction of samples that are within the neighbourhood of a recording.
        recall: Fraction of recordings that are within the neighbourhood of a sample.
        coverage: Fraction of recordings with a sample in their neighbourhood.
    """

    frechet_distance: float
    floor: float
    precision: float
    recall: float
    coverage: float


class Samples(NamedTuple):
    """The evaluated samples.

    Attributes:
        decibels: Spectrograms in dB, shape `(samples, frames, bands)`.
        hop_seconds: Time between frames.
    """

    decibels: np.ndarray
    hop_seconds: float


def evaluate_split(
    model: Gan, corpus: data.Corpus, split: data.Split, *, train: data.Split, num_samples: int = NUM_SAMPLES
) -> tuple[dict, Samples]:
    """Compare samples with tracks that the model was not trained on.

    Args:
        model: A trained model.
        corpus: From `data.load_corpus`.
        split: The tracks to compare with, from `data.prepare_split`.
        train: The tracks that the model was trained on.
        num_samples: Number of samples to generate.

    Returns:
        Metrics, and the samples. The metrics of the samples are `frechet_distance`, `frechet_distance_infinity`,
        `precision`, `recall`, `density`, `coverage`, `spread_ratio`, `ndb`, `nearest_ratio` and `replays`. `floor` is
        the Fréchet distance of training tracks. `lines` has the metrics of each row of the table, see `_TITLES`.
        `protocol` describes how they were computed.

    Raises:
        UserError: There are too few excerpts to compare with.
    """
    config = model.config
    found = reference_metrics.measure(config, model.spectra, train, split)
    spectrograms = callbacks.sample(model, num_samples, _SEED)
    decibels = model.spectra.unscaled(spectrograms).numpy()
    generated = found.embedding(decibels)
    reals = data.consecutive_excerpts(config, split, reference_metrics.DENSE_SECONDS)
    lines = {
        "generated": generated,
        "generated_audio": found.embedding(_through_audio(model, spectrograms)),
        "train": found.train,
        "train_audio": found.embedding(_through_audio(model, _scaled(model, data.consecutive_excerpts(config, train)))),
        "reduced": found.embedding(_reduced(model, reals)),
    }
    compared = {name: reference_metrics.figures(found, embeddings) for name, embeddings in lines.items()}
    results = (
        compared["generated"]
        | reference_metrics.replay_figures(found, decibels)
        | {
            "frechet_distance_infinity": _extrapolated(found.held_out, generated),
            "ndb": metrics.ndb(found.held_out, generated, num_bins=min(10, len(found.held_out))),
            "floor": compared["train"]["frechet_distance"],
            "lines": compared,
            "protocol": {
                "embedding": reference_metrics.NAME,
                "corpus": corpus.config.corpus,
                "split": split.name,
                "num_samples": num_samples,
                "num_train_tracks": len(train.bank.tracks),
                "num_test_tracks": len(split.bank.tracks),
                "num_tracks_shared_with_training": len(set(split.bank.tracks) & set(train.bank.tracks)),
                "frechet_distance": f"to excerpts of test tracks, one every {reference_metrics.DENSE_SECONDS:g} s",
                "precision, recall, density, coverage": f"k = {metrics.NUM_NEIGHBOURS}, consecutive test excerpts",
                "floor": "Fréchet distance of training tracks, one excerpt every 0.5 s",
                "nearest_ratio": "median distance to the nearest training excerpt, divided by that of test excerpts",
            },
        }
    )
    return results, Samples(decibels, config.hop_length / config.sample_rate)


def _extrapolated(reference: np.ndarray, generated: np.ndarray) -> float | None:
    """Return the Fréchet distance extrapolated to infinitely many examples; None if there are too few examples."""
    if min(len(reference), len(generated)) < _MIN_TO_EXTRAPOLATE:
        return None
    return metrics.frechet_distance_infinity(reference, generated)


def _scaled(model: Gan, waveforms: np.ndarray) -> np.ndarray:
    return np.concatenate(
        [
            model.spectra(tf.constant(waveforms[start : start + _BATCH])).numpy()
            for start in range(0, len(waveforms), _BATCH)
        ]
    )


def _through_audio(model: Gan, spectrograms: np.ndarray) -> np.ndarray:
    """Convert scaled spectrograms to audio and back to decibels, so that the loss of Griffin-Lim is included."""
    spectra = model.spectra
    parts = [spectrograms[start : start + _BATCH] for start in range(0, len(spectrograms), _BATCH)]
    waveforms = []
    with progress.bar(len(parts), "evaluating, through audio", "batch") as meter:
        for part in parts:
            waveforms.append(spectra.waveforms(tf.constant(part)).numpy())
            meter.update()
    waveforms = np.concatenate(waveforms)
    missing = max(0, model.config.num_samples - waveforms.shape[1])
    waveforms = np.pad(waveforms, [(0, 0), (0, missing)])[:, : model.config.num_samples]
    return reference_metrics.decibels(spectra, waveforms)


def _reduced(model: Gan, waveforms: np.ndarray) -> np.ndarray:
    scaled = _scaled(model, waveforms)[..., None]
    small = resize(resize(scaled, _REDUCED), scaled.shape[1:3])
    return model.spectra.unscaled(small[..., 0]).numpy()


def draw_evolution(model: Gan, folder: Path) -> Path | None:
    """Plot samples of the same noise after some monitored epochs; returns the path, or None without snapshots."""
    epochs = snapshots.epochs(folder)
    if not epochs:
        return None
    chosen = [epochs[index] for index in np.unique(np.linspace(0, len(epochs) - 1, _EVOLUTION_EPOCHS).astype(int))]
    final_weights = model.average.get_weights()
    spectrograms, titles = [], []
    for epoch in chosen:
        snapshots.load(model.average, folder, epoch)
        spectrograms.extend(callbacks.sample(model, _EVOLUTION_SAMPLES))
        titles += [f"epoch {epoch}, sample {number + 1}" for number in range(_EVOLUTION_SAMPLES)]
    model.average.set_weights(final_weights)
    decibels = model.spectra.unscaled(np.stack(spectrograms)).numpy()
    path = folder / "evolution.png"
    hop_seconds = model.config.hop_length / model.config.sample_rate
    plots.save(plots.pictures(decibels, titles, hop_seconds, _EVOLUTION_SAMPLES), path)
    return path


def save_plots(figures: dict, details: Samples, stem: Path) -> list[Path]:
    """Write spectrograms of some of the evaluated samples (PNG).

    Args:
        figures: The metrics, from `evaluate_split`.
        details: The samples, from `evaluate_split`.
        stem: Common prefix of the paths.

    Returns:
        The files written.
    """
    path = files.beside(stem, "_samples.png")
    shown = details.decibels[:_NUM_SHOWN]
    titles = [f"sample {number + 1}" for number in range(len(shown))]
    plots.save(plots.pictures(shown, titles, details.hop_seconds), path)
    return [path]


def format_table(figures: dict) -> str:
    """Format the metrics of `evaluate_split` as a table for the console."""
    width = max(map(len, _TITLES.values()))
    name = f"FAD-{figures['protocol']['embedding']}"
    lines = [f"{'':<{width}}  {name:>12}  precision  recall  density  coverage  spread"]
    for key, title in _TITLES.items():
        distance, *others = (figures["lines"][key][column] for column in _COLUMNS)
        cells = [f"{value:{size}.2f}" for value, size in zip(others, (9, 6, 7, 8, 6), strict=True)]
        lines.append(f"{title:<{width}}  {distance:>12.2f}  {'  '.join(cells)}")
    protocol = figures["protocol"]
    copies = f"{figures['replays']:.0%} of samples are copies of training excerpts"
    lines.append("")
    extrapolated = figures["frechet_distance_infinity"]
    infinity = "" if extrapolated is None else f"; extrapolated to infinitely many samples {extrapolated:.2f}"
    shared = protocol["num_tracks_shared_with_training"] or "none"
    lines.append(
        f"{protocol['num_samples']} samples, {protocol['num_test_tracks']} test tracks, "
        f"{shared} of them trained on{infinity}; {figures['ndb']} of 10 bins differ"
    )
    lines.append(
        f"distance to the nearest training excerpt: {figures['nearest_ratio']:.2f} times that of test tracks; {copies}"
    )
    lines += metrics_of_all.caution(protocol["num_test_tracks"], "test tracks", fewest=_FEWEST_TRACKS)
    return "\n".join(lines)

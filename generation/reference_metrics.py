"""Reference embeddings: excerpts of recordings that generated music is compared with.

Consecutive excerpts are nearly independent, but few. Overlapping excerpts give better means and covariances, but they
are each other's nearest neighbours. So the Fréchet distance and the spread use overlapping excerpts; precision, recall,
density and coverage use consecutive ones.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from generation import metrics, replays
from generation.config import Config
from generation.data import Split, consecutive_excerpts, tracks
from generation.embedding import NAME, TextureEmbedding
from generation.spectra import Spectra

DENSE_SECONDS = 0.5
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class References:
    """Embeddings of recordings.

    Attributes:
        embedding: The embedding, fitted on the training excerpts.
        train: Overlapping training excerpts, one every 0.5 s.
        train_apart: Consecutive training excerpts.
        held_out: Overlapping excerpts of tracks that are not trained on, one every 0.5 s.
        held_out_apart: Consecutive excerpts of the same tracks.
        train_tracks: The whole training tracks in decibels, each `(frames, bands)`, which a generator could copy.
        held_out_nearest: Distances of the consecutive held-out excerpts to the training tracks, `(excerpts,)`.
    """

    embedding: TextureEmbedding
    train: np.ndarray
    train_apart: np.ndarray
    held_out: np.ndarray
    held_out_apart: np.ndarray
    train_tracks: list[np.ndarray]
    held_out_nearest: np.ndarray


def measure(config: Config, spectra: Spectra, train: Split, held_out: Split) -> References:
    """Compute the reference embeddings of a training split and a held-out split."""
    train_spectrograms = decibels(spectra, consecutive_excerpts(config, train, DENSE_SECONDS))
    embedding = TextureEmbedding.fit(train_spectrograms, config.sample_rate, config.hop_length)

    held_out_excerpts = decibels(spectra, consecutive_excerpts(config, held_out))
    train_tracks = [decibels(spectra, track[None])[0] for track in tracks(train)]
    return References(
        embedding=embedding,
        train=embedding(train_spectrograms),
        train_apart=embedding(decibels(spectra, consecutive_excerpts(config, train))),
        held_out=embedding(decibels(spectra, consecutive_excerpts(config, held_out, DENSE_SECONDS))),
        held_out_apart=embedding(held_out_excerpts),
        train_tracks=train_tracks,
        held_out_nearest=replays.nearest_distances(held_out_excerpts, train_tracks),
    )


def replay_figures(references: References, spectrograms_db: np.ndarray) -> dict[str, float]:
    """Measure how similar spectrograms are to the training tracks.

    Returns:
        `nearest_ratio`, the median distance to the nearest segment of a training track divided by that of held-out
        recordings, and `replays`, the fraction of the spectrograms that are copies.
    """
    nearest = replays.nearest_distances(spectrograms_db, references.train_tracks)
    return {
        "nearest_ratio": float(np.median(nearest) / np.median(references.held_out_nearest)),
        "replays": replays.share_of_copies(nearest, references.held_out_nearest),
    }


def decibels(spectra: Spectra, waveforms: np.ndarray) -> np.ndarray:
    """Return the spectrograms of waveforms in decibels, clipped to the range of the generator."""
    parts = [waveforms[start : start + _BATCH] for start in range(0, len(waveforms), _BATCH)]
    return np.concatenate([spectra.unscaled(spectra(tf.constant(part))).numpy() for part in parts])


def figures(references: References, embeddings: np.ndarray) -> dict[str, float]:
    """Compare embeddings with held-out recordings.

    Args:
        references: From `measure`.
        embeddings: Embeddings to evaluate, shape `(examples, dim)`.

    Returns:
        `frechet_distance`, `precision`, `recall`, `density`, `coverage`, `spread_ratio`.
    """
    apart = references.held_out_apart
    neighbours = min(metrics.NUM_NEIGHBOURS, len(apart) - 1)
    return {
        "frechet_distance": metrics.frechet_distance(references.held_out, embeddings),
        "precision": metrics.precision(apart, embeddings, neighbours),
        "recall": metrics.recall(apart, embeddings, neighbours),
        "density": metrics.density(apart, embeddings, neighbours),
        "coverage": metrics.coverage(apart, embeddings, neighbours),
        "spread_ratio": metrics.spread_ratio(references.held_out, embeddings),
    }


__all__ = ["DENSE_SECONDS", "NAME", "References", "decibels", "figures", "measure", "replay_figures"]

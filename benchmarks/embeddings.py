"""Compare embeddings of mel spectrograms by their sensitivity to damaged music; `python -m benchmarks.embeddings`.

Random six-second crops of one half of the tracks are the reference, to which an embedding is fitted. Crops of the other
half, undamaged and damaged, are compared with it. Each random split into halves has the same number of tracks per genre
in both halves and is used both ways. The output is the floor (the Fréchet distance of undamaged crops) and the ratio of
the distance of each damage to the floor: medians over the splits, with minimum and maximum.

Many overlapping crops of few tracks describe these tracks: the floor is the distance between seven tracks and seven
others.

The table is also written to runs/benchmarks/embeddings.csv and embeddings.md.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import numpy as np
import pandas as pd
import scipy.ndimage
import tensorflow as tf
from absl import flags

from common import audio, files
from common.cli import app
from common.config import FlagValues
from common.features import spectral
from generation.embedding import TextureEmbedding, texture_features
from generation.metrics import frechet_distance

SAMPLE_RATE, HOP_LENGTH = 22_050, 200
_N_FFT, _NUM_MELS, _SECONDS = 400, 64, 6.0
_CROPS_PER_TRACK, _CROPS_PER_DRAW = 16, 12
_FOLDER = Path("runs/benchmarks")

Features = Callable[[np.ndarray], np.ndarray]
Embed = Callable[[np.ndarray], np.ndarray]


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of `python -m benchmarks.embeddings`."""
    flags.DEFINE_string(
        "data_dir", "data/gtzan/genres", "folder with one folder of WAV files per genre", flag_values=flag_values
    )
    flags.DEFINE_integer(
        "draws", 8, "number of random splits into halves, each used both ways", 1, flag_values=flag_values
    )


def main(flag_values: FlagValues, arguments: Sequence[str]) -> None:
    """Measure, print one table and write it."""
    app.refuse_arguments(arguments)
    paths = sorted(Path(flag_values.data_dir).rglob("*.wav"))
    genres = np.array([path.parent.name for path in paths])
    if len(paths) < 4 or min(np.unique(genres, return_counts=True)[1]) < 2:
        print(
            f"skipped: {flag_values.data_dir} needs at least two WAV files in each folder and four in all; see --data_dir"
        )
        return
    tf.config.threading.set_intra_op_parallelism_threads(1)
    rng = np.random.default_rng(0)
    crops = np.stack([read_crops(path, rng) for path in paths])
    tables = {}
    for name, (features, fit) in CANDIDATES.items():
        by_damage = {damage: by_track(features, function(crops)) for damage, function in DAMAGES.items()}
        draws = [compare(by_damage, genres, *halves, fit) for halves in draw_halves(genres, flag_values.draws)]
        tables[name] = pd.DataFrame(draws)
    table = pd.DataFrame({name: summary(values) for name, values in tables.items()})
    print(f"{len(paths)} tracks, {2 * flag_values.draws} draws; distances in units of each embedding's floor")
    print(table.to_string())
    with files.atomic_path(_FOLDER / "embeddings.csv") as temporary:
        pd.concat(tables, names=["embedding", "draw"]).to_csv(temporary)
    files.write_text(_FOLDER / "embeddings.md", markdown(table))


def read_crops(path: Path, rng: np.random.Generator) -> np.ndarray:
    """Return mel spectrograms in dB of random crops of a track, shape `(crops, frames, bands)`."""
    waveform, _ = audio.read(path, SAMPLE_RATE)
    num_samples = round(_SECONDS * SAMPLE_RATE)
    waveform = audio.fit_length(waveform, max(num_samples, len(waveform)))
    starts = rng.integers(0, len(waveform) - num_samples + 1, _CROPS_PER_TRACK)
    crops = np.stack([waveform[start : start + num_samples] for start in starts])
    power = spectral.mel_spectrogram(crops, SAMPLE_RATE, _NUM_MELS, n_fft=_N_FFT, hop_length=HOP_LENGTH)
    return spectral.power_to_db(power, top_db=None).numpy()


def draw_halves(genres: np.ndarray, num_draws: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.random.Generator]]:
    """Yield the reference tracks and the tested tracks, both ways; an odd track of a genre is assigned at random."""
    rng = np.random.default_rng(1)
    for _ in range(num_draws):
        of_genre = [rng.permutation(np.flatnonzero(genres == genre)) for genre in np.unique(genres)]
        cuts = [(len(tracks) + rng.integers(2)) // 2 for tracks in of_genre]
        halves = [
            np.concatenate([tracks[:cut] for tracks, cut in zip(of_genre, cuts, strict=True)]),
            np.concatenate([tracks[cut:] for tracks, cut in zip(of_genre, cuts, strict=True)]),
        ]
        yield *halves, rng
        yield *halves[::-1], rng


def compare(
    by_damage: dict[str, np.ndarray],
    genres: np.ndarray,
    reference: np.ndarray,
    tested: np.ndarray,
    rng: np.random.Generator,
    fit: Callable[[np.ndarray], Embed],
) -> dict[str, float]:
    """Return the floor, and all other distances relative to it."""
    of_reference, of_tested = (rng.permutation(_CROPS_PER_TRACK)[:_CROPS_PER_DRAW] for _ in range(2))

    def features(damage: str, tracks: np.ndarray, crops: np.ndarray) -> np.ndarray:
        return np.concatenate(by_damage[damage][tracks][:, crops])

    embed = fit(features("real", reference, of_reference))
    target = embed(features("real", reference, of_reference))
    found = {damage: frechet_distance(target, embed(features(damage, tested, of_tested))) for damage in by_damage}
    real = embed(features("real", tested, of_tested))
    found["one track only"] = frechet_distance(target, real[:_CROPS_PER_DRAW])
    found["one excerpt only"] = frechet_distance(target, np.repeat(real[:1], 2, axis=0))
    floor = found.pop("real")
    ratios = {"floor": floor} | {damage: distance / floor for damage, distance in found.items()}
    first, *others = np.unique(genres)
    if others:
        target = embed(features("real", reference[genres[reference] == first], of_reference))
        same, other = (
            frechet_distance(target, embed(features("real", tested[(genres[tested] == first) == alike], of_tested)))
            for alike in (True, False)
        )
        ratios["other genre, of the floor of one"] = other / same
    return ratios


def summary(values: pd.DataFrame) -> pd.Series:
    """Return medians with minimum and maximum."""
    return values.apply(lambda column: f"{column.median():.2f} ({column.min():.2f} to {column.max():.2f})")


def markdown(table: pd.DataFrame) -> str:
    """Format a table as Markdown."""
    rows = [
        ["", *table.columns],
        ["---"] * (1 + len(table.columns)),
        *([name, *row] for name, *row in table.itertuples()),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def by_track(features: Features, spectrograms: np.ndarray) -> np.ndarray:
    """Compute features of spectrograms of shape `(tracks, crops, frames, bands)`."""
    return np.stack([features(of_track) for of_track in spectrograms])


def reduced(crops: np.ndarray, num_frames: int, num_bands: int) -> np.ndarray:
    """Downsample by averaging, and upsample again by bilinear interpolation."""
    pictures = tf.reshape(crops, (-1, *crops.shape[2:], 1))
    small = tf.image.resize(pictures, (num_frames, num_bands), antialias=True)
    return tf.reshape(tf.image.resize(small, crops.shape[2:]), crops.shape).numpy()


def shuffled(crops: np.ndarray) -> np.ndarray:
    """Put the frames of each crop in random order."""
    order = np.argsort(np.random.default_rng(2).random(crops.shape[:3]), axis=2)
    return np.take_along_axis(crops, order[..., None], axis=2)


def noise(crops: np.ndarray) -> np.ndarray:
    """Replace each crop by white noise with its mean and deviation in each band."""
    white = np.random.default_rng(3).standard_normal(crops.shape, np.float32)
    return crops.mean(axis=2, keepdims=True) + crops.std(axis=2, keepdims=True) * white


def random_phases(crops: np.ndarray) -> np.ndarray:
    """Randomise the phases: keep only the mean spectrum and the 2-D power spectrum of each crop."""
    mean = crops.mean(axis=2, keepdims=True)
    phases = np.angle(np.fft.rfft2(np.random.default_rng(4).standard_normal(crops.shape)))
    return mean + np.fft.irfft2(np.abs(np.fft.rfft2(crops - mean)) * np.exp(1j * phases), crops.shape[2:])


DAMAGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "real": lambda crops: crops,
    "32 x 32 and back": lambda crops: reduced(crops, 32, 32),
    "64 x 64 and back": lambda crops: reduced(crops, 64, 64),
    "331 x 64 and back": lambda crops: reduced(crops, 331, 64),
    "blurred in time, 36 ms": lambda crops: scipy.ndimage.gaussian_filter1d(crops, 4, axis=2),
    "blurred in frequency, 1 band": lambda crops: scipy.ndimage.gaussian_filter1d(crops, 1, axis=3),
    "frames shuffled": shuffled,
    "reversed": lambda crops: crops[:, :, ::-1],
    "noise, means and deviations right": noise,
    "noise, modulations right": random_phases,
    "mean spectrum, no change": lambda crops: crops.mean(axis=2, keepdims=True).repeat(crops.shape[2], axis=2),
    "3 dB of noise": lambda crops: crops + np.random.default_rng(5).normal(0, 3, crops.shape).astype(np.float32),
    "+3 dB": lambda crops: crops + 3,
    "tilted by 12 dB": lambda crops: crops + np.linspace(-6, 6, crops.shape[3], dtype=np.float32),
}


def means_and_deviations(spectrograms: np.ndarray) -> np.ndarray:
    """Return the mean and the standard deviation of each band, which ignore the order in time."""
    return np.concatenate([spectrograms.mean(axis=1), spectrograms.std(axis=1)], axis=1)


def band_modulations(spectrograms: np.ndarray) -> np.ndarray:
    """Return the modulation energies of eight groups of bands in seven octaves of rate, in dB."""
    deviations = spectrograms - spectrograms.mean(axis=1, keepdims=True)
    num_frames = spectrograms.shape[1]
    spectra = np.fft.rfft(deviations * np.hanning(num_frames)[:, None], axis=1)
    edges = (num_frames / 2 ** np.arange(8, 0, -1)).astype(int)
    energies = [np.square(np.abs(spectra[:, low:high])).sum(axis=1) for low, high in itertools.pairwise(edges)]
    energies = np.stack(energies, axis=1) / num_frames**2
    groups = energies.reshape(*energies.shape[:2], 8, -1).mean(axis=3)
    return 10 * np.log10(groups + 1e-3).reshape(len(groups), -1)


def random_network(spectrograms: np.ndarray) -> np.ndarray:
    """Return means and standard deviations of the channels of four strided convolutions with random weights."""
    rng = np.random.default_rng(6)
    hidden, found = tf.constant((spectrograms[..., None] + 20) / 20, tf.float32), []
    for channels in (16, 32, 64, 128):
        shape = (3, 3, hidden.shape[-1], channels)
        weights = rng.normal(0, np.sqrt(2 / np.prod(shape[:3])), shape).astype(np.float32)
        hidden = tf.nn.relu(tf.nn.conv2d(hidden, weights, 2, "SAME"))
        found += [tf.reduce_mean(hidden, (1, 2)), tf.math.reduce_std(hidden, (1, 2))]
    return tf.concat(found, axis=1).numpy()


def texture(spectrograms: np.ndarray) -> np.ndarray:
    """Return the features of the embedding of this project."""
    return texture_features(spectrograms, SAMPLE_RATE, HOP_LENGTH)


def standardised(num_components: int) -> Callable[[np.ndarray], Embed]:
    """Return a PCA fit on features that are divided by their standard deviation in the reference."""

    def fit(reference: np.ndarray) -> Embed:
        mean = reference.mean(axis=0)
        scale = 1 / np.maximum(reference.std(axis=0), 1e-6) / np.sqrt(reference.shape[1])
        components = np.linalg.svd((reference - mean) * scale, full_matrices=False)[2][:num_components]
        return lambda features: (features - mean) * scale @ components.T

    return fit


CANDIDATES: dict[str, tuple[Features, Callable[[np.ndarray], Embed]]] = {
    "texture": (texture, lambda reference: TextureEmbedding.of_features(reference, SAMPLE_RATE, HOP_LENGTH).embed),
    "texture, each feature by its own deviation": (texture, standardised(16)),
    "modulations alone": (lambda spectrograms: texture(spectrograms)[:, 8:-8], standardised(16)),
    "skewness alone": (lambda spectrograms: texture(spectrograms)[:, -8:], standardised(16)),
    "means and deviations": (means_and_deviations, standardised(32)),
    "modulations by band, dB": (band_modulations, standardised(16)),
    "random network": (random_network, standardised(16)),
}


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

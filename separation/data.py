"""Read tracks and stems, and build batches of mixtures."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from common import audio, other_corpus
from common.corpora import manifest, tracks
from common.data import excerpts, shards, track_bank
from common.data.excerpts import Places
from common.distribution import strategy, workers
from common.errors import UserError
from common.log import logger
from common.seeds import stream_seed
from separation import mixing, recordings
from separation.config import Config

_RANDOM_FRACTIONS = {"train": (0.0, 0.81), "validation": (0.81, 0.9), "test": (0.9, 1.0)}
_EXPORT_EXCERPTS = 8


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The tracks of a configuration.

    Attributes:
        config: The configuration; a sample rate or number of channels of 0 is replaced by that of the corpus.
        manifest: One row per stem.
        shards_dir: Folder of decoded tracks.
    """

    config: Config
    manifest: pd.DataFrame
    shards_dir: Path


@dataclasses.dataclass(frozen=True)
class Split:
    """The tracks of a split.

    Attributes:
        name: `train`, `validation` or `test`.
        bank: The tracks of the split; all tracks with `--split_rule=random`.
        windows: The windows of the split with `--split_rule=random`; otherwise None, which means any window.
    """

    name: str
    bank: track_bank.TrackBank
    windows: Places | None


def load_corpus(config: Config, shards_dir: str | Path, *, download: bool = False) -> Corpus:
    """List the tracks of the corpus.

    Args:
        config: Gives the corpus and its folder.
        shards_dir: Folder for decoded tracks.
        download: Whether to download the corpus if it is missing.

    Raises:
        UserError: The folder is missing or has no tracks, the first track cannot be read, or the download fails.
    """
    table = recordings.index(config, download=download)
    return Corpus(_resolved(config, table), table, Path(shards_dir))


def _resolved(config: Config, table: pd.DataFrame) -> Config:
    """Replace a sample rate or number of channels of 0 by that of the corpus."""
    if config.sample_rate and config.num_channels:
        return config
    header = audio.info(table["path"].iloc[0])
    own_channels = 1 if table["channel"].iloc[0] >= 0 else min(2, header.num_channels)
    return dataclasses.replace(
        config, sample_rate=config.sample_rate or header.sample_rate, num_channels=config.num_channels or own_channels
    )


def with_corpus(config: Config, corpus: str | None, data_dir: str | None) -> Config:
    """Return a trained configuration with another corpus or folder; see `common.other_corpus`."""
    return other_corpus.with_corpus(config, corpus, data_dir, split_rule="official")


def prepare_split(corpus: Corpus, split: str) -> Split:
    """Decode the tracks of a split, unless they are already decoded.

    Raises:
        UserError: The split has no tracks, or too many tracks cannot be used.
    """
    config = corpus.config
    random = config.split_rule == "random"
    bank = track_bank.prepare(
        corpus.manifest if random else manifest.select(corpus.manifest, split),
        corpus.shards_dir,
        # The mixture contains every stem of the song, including those that are not estimated.
        config.stems if tracks.ACCOMPANIMENT in config.stems else (*config.stems, tracks.REST),
        config.sample_rate,
        config.num_channels,
        max_rejected=config.max_rejected,
        description=f"preparing {split}",
    )
    return Split(split, bank, _random_windows(config, bank, split) if random else None)


def _random_windows(config: Config, bank: track_bank.TrackBank, split: str) -> Places:
    """Assign the windows of all tracks to splits at random; a track may have windows in every split."""
    places = _grid(config, bank)
    order = np.random.default_rng(0).permutation(len(places.tracks))
    low, high = (round(fraction * len(order)) for fraction in _RANDOM_FRACTIONS[split])
    if low == high:
        raise UserError(
            f"{len(order)} windows are too few for a random split; add tracks, or use a smaller --num_frames"
        )
    chosen = order[low:high]
    return Places(places.tracks[chosen], places.starts[chosen])


def _grid(config: Config, bank: track_bank.TrackBank) -> Places:
    """List the adjacent windows of every track; a track shorter than a window has one."""
    counts = [max(1, len(pcm) // config.window_samples) for pcm in bank.pcm]
    tracks = np.repeat(np.arange(len(counts)), counts)
    starts = np.concatenate([np.arange(count) * config.window_samples for count in counts])
    stems = len(bank.stems)
    return Places(np.tile(tracks[:, None], stems), np.tile(starts[:, None], stems))


def build_dataset(
    config: Config, split: Split, *, training: bool = False, initial_step: int = 0, num_batches: int | None = None
) -> tf.data.Dataset:
    """Build the batches of a split.

    Args:
        config: The configuration of the corpus, from `load_corpus`.
        split: From `prepare_split`.
        training: Whether to return an endless dataset of random, augmented excerpts. Otherwise the dataset is one pass
            over fixed windows without augmentation.
        initial_step: Number of batches that training has already seen.
        num_batches: Number of training batches, if other machines make them; see `excerpts.drawn_batches`.

    Returns:
        Batches of (mixture `(batch, window_samples, channels)`, stems `(batch, stems, window_samples, channels)`),
        float32.
    """
    if training:
        return _training_dataset(config, split, initial_step, num_batches)
    places = _fixed_windows(config, split)
    num_examples = len(places.tracks)
    batch_size = strategy.evaluation_batch_size(num_examples, config.batch_size)
    batches = tf.data.Dataset.from_tensor_slices(tuple(places)).batch(batch_size)

    def example(*places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return _pair(config, tf.cast(_cut(split, places, config.window_samples), tf.float32) / audio.PCM16_SCALE)

    return shards.finish(batches.map(example, num_parallel_calls=shards.NUM_PARALLEL, deterministic=True))


def _training_dataset(config: Config, split: Split, initial_step: int, num_batches: int | None) -> tf.data.Dataset:
    num_samples = mixing.cut_samples(config)
    share = workers.share(config.batch_size)
    seed = _training_seed(config, share)

    def draw(step: int) -> Places:
        return _training_places(config, split, int(step), share)

    def example(step: tf.Tensor, *places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        stems = _cut(split, places, num_samples, anywhere=num_batches is not None)
        return _pair(config, mixing.change(config, stems, tf.stack([seed, tf.cast(step, tf.int32)])))

    batches = excerpts.drawn_batches(draw, initial_step, num_batches)
    return shards.finish(batches.map(example, num_parallel_calls=shards.NUM_PARALLEL, deterministic=True))


def _cut(split: Split, places: tuple[tf.Tensor, ...], num_samples: int, *, anywhere: bool = False) -> tf.Tensor:
    """Read the stems of excerpts as int16 `(batch, stems, num_samples, channels)`."""
    bank = split.bank
    return excerpts.read_tensor(bank.pcm, places, num_samples, np.arange(len(bank.stems)), anywhere=anywhere)


def _training_seed(config: Config, share: workers.Share) -> int:
    return stream_seed(config.seed, "separation.training") + share.seed_offset


def _training_places(config: Config, split: Split, step: int, share: workers.Share) -> Places:
    """Draw the excerpts of one worker's part of a training batch."""
    seed = _training_seed(config, share)
    if split.windows is None:
        return mixing.draw(config, split.bank, share.batch_size, mixing.cut_samples(config), (seed, step))
    rng = np.random.default_rng((seed, step))
    chosen = rng.integers(len(split.windows.tracks), size=share.batch_size)
    return Places(split.windows.tracks[chosen], split.windows.starts[chosen])


def export_excerpts(config: Config, split: Split) -> np.ndarray:
    """Return the beginnings of some mixtures of a split, to compare exports on.

    Returns:
        Shape `(excerpts, config.export_samples, channels)`, float32, with zeros after the end of a track.
    """
    places = _fixed_windows(config, split)
    chosen = np.linspace(0, len(places.tracks) - 1, min(len(places.tracks), _EXPORT_EXCERPTS)).astype(int)
    picked = tuple(part[chosen] for part in places)
    stems = excerpts.read(split.bank.pcm, Places(*picked), config.export_samples, np.arange(len(split.bank.stems)))
    return audio.from_pcm16(stems).sum(axis=1)


def batch_files(config: Config, split: Split, step: int) -> list[str]:
    """Return the tracks and positions that each example of a training batch was read from.

    A position that several stems have in common is listed once.

    Args:
        config: As for `build_dataset`.
        split: The training split, from `prepare_split`.
        step: Index of the training batch.
    """
    return _describe(split, _training_places(config, split, step, workers.share(config.batch_size)))


def window_names(config: Config, split: Split) -> list[str]:
    """Return the track and position of each window of an evaluation pass, in the order of `build_dataset`."""
    return _describe(split, _fixed_windows(config, split))


def _describe(split: Split, places: Places) -> list[str]:
    return [
        " + ".join(dict.fromkeys(map(split.bank.describe, tracks, starts)))
        for tracks, starts in zip(*places, strict=True)
    ]


def _pair(config: Config, parts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.reduce_sum(parts, axis=1), parts[:, : len(config.stems)]


def _fixed_windows(config: Config, split: Split) -> Places:
    """Choose the windows of an evaluation pass: at most `validation_excerpts`, at random from all tracks."""
    places = split.windows or _grid(config, split.bank)
    seed = stream_seed(config.seed, f"separation.evaluated.{split.name}")
    order = np.random.default_rng(seed).permutation(len(places.tracks))
    chosen = np.sort(order[: config.validation_excerpts])
    return Places(places.tracks[chosen], places.starts[chosen])


def steps_per_epoch(config: Config, split: Split) -> int:
    """Return the number of training batches in an epoch.

    An epoch has `epoch_examples` examples, or as many as there are windows if that is 0.
    """
    windows = split.windows or _grid(config, split.bank)
    return max(1, (config.epoch_examples or len(windows.tracks)) // config.batch_size)


def read_tracks(corpus: Corpus, split: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the name, mixture `(samples, channels)` and stems of each track; see `tracks.read`.

    Tracks that cannot be used are skipped with a warning.
    """
    config = corpus.config
    for name, rows in manifest.select(corpus.manifest, split).groupby("track", sort=True):
        try:
            yield name, *tracks.read(rows, config.stems, config.sample_rate, config.num_channels)
        except UserError as error:
            logger.warning("left out: %s", error)


def num_tracks(corpus: Corpus, split: str) -> int:
    """Return the number of tracks in a split."""
    return manifest.select(corpus.manifest, split)["track"].nunique()


def groups_of(corpus: Corpus, split: str) -> set[str]:
    """Return the singers of a split; for a track of an unknown singer, the track."""
    table = manifest.select(corpus.manifest, split)
    return set(recordings.groups_of(table))


def describe(split: Split) -> str:
    """Describe a split for the log."""
    number = len(split.bank.tracks)
    text = f"{split.name}: {number} tracks, {split.bank.seconds / 60:.1f} min"
    return text if split.windows is None else f"{text} in all splits, {len(split.windows.tracks)} windows in this one"

"""From tracks and their stems to batches of mixtures."""

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from common import audio, corpora
from common import config as configs
from common.corpora import manifest, splits, tracks
from common.data import excerpts, shards, track_bank
from common.data.excerpts import Places
from common.distribution import strategy, workers
from common.errors import UserError
from common.seeds import stream_seed
from separation import mixing
from separation.config import TASK, Config

_RANDOM_SHARES = {"train": (0.0, 0.81), "validation": (0.81, 0.9), "test": (0.9, 1.0)}


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The tracks a configuration names.

    Attributes:
        config: The configuration, with the corpus's own rate and channels where it named none.
        manifest: A row a stem.
        shards_dir: Where decoded tracks are kept.
    """

    config: Config
    manifest: pd.DataFrame
    shards_dir: Path


@dataclasses.dataclass(frozen=True)
class Split:
    """What the examples of a split are cut from.

    Attributes:
        name: `train`, `validation` or `test`.
        bank: Its tracks; with `--split_rule=random` all tracks.
        windows: With `--split_rule=random` the windows that are its own, else None: any window is.
    """

    name: str
    bank: track_bank.TrackBank
    windows: Places | None


def load_corpus(config: Config, shards_dir: str | Path, *, download: bool = False) -> Corpus:
    """List the tracks of a configuration's corpus.

    Args:
        config: Names the corpus and its folder.
        shards_dir: Where decoded tracks are to be kept.
        download: Whether to fetch what is not there.

    Raises:
        UserError: The folder is missing or holds no tracks, or the first cannot be read; or nothing can be fetched.
    """
    # Without a rate or channels of its own a configuration takes those of the corpus.
    own = {"sample_rate": config.sample_rate, "channels": config.num_channels}
    wanted = {name: value for name, value in own.items() if value}
    songs = {"num_songs": config.num_songs, "seconds": config.song_seconds}
    table = corpora.index(TASK, config.corpus, config.data_dir, download=download, **songs, **wanted)
    if config.split_rule == "folds":
        table = splits.assign_folds(table.assign(speaker=_groups(table)), config.num_folds, config.fold)
    return Corpus(_resolved(config, table), table, Path(shards_dir))


def _groups(table: pd.DataFrame) -> pd.Series:
    """Return who must stay on one side: the singer where known, else the track."""
    return table["speaker"].where(table["speaker"] != "", table["track"])


def _resolved(config: Config, table: pd.DataFrame) -> Config:
    """Fill in the rate and the channels that the corpus has."""
    if config.sample_rate and config.num_channels:
        return config
    header = audio.info(table["path"].iloc[0])
    own_channels = 1 if table["channel"].iloc[0] >= 0 else min(2, header.num_channels)
    return dataclasses.replace(
        config, sample_rate=config.sample_rate or header.sample_rate, num_channels=config.num_channels or own_channels
    )


def with_corpus(config: Config, corpus: str | None, data_dir: str | None) -> Config:
    """Return a trained configuration that looks at another corpus or folder; see `common.config.with_corpus`."""
    return configs.with_corpus(config, corpus, data_dir, split_rule="official")


def prepare_split(corpus: Corpus, split: str) -> Split:
    """Decode the tracks of a split, or find them decoded.

    Raises:
        UserError: The split has no tracks, or too many cannot be used.
    """
    config = corpus.config
    random = config.split_rule == "random"
    bank = track_bank.prepare(
        corpus.manifest if random else manifest.select(corpus.manifest, split),
        corpus.shards_dir,
        # A mixture is made of all that its song has, also of what is not asked for.
        config.stems if tracks.ACCOMPANIMENT in config.stems else (*config.stems, tracks.REST),
        config.sample_rate,
        config.num_channels,
        max_rejected=config.max_rejected,
        description=f"preparing {split}",
    )
    return Split(split, bank, _random_windows(config, bank, split) if random else None)


def _random_windows(config: Config, bank: track_bank.TrackBank, split: str) -> Places:
    """Divide the windows of all tracks, one after another in each, among the splits: tracks are on all sides."""
    places = _grid(config, bank)
    order = np.random.default_rng(0).permutation(len(places.tracks))
    low, high = (round(share * len(order)) for share in _RANDOM_SHARES[split])
    if low == high:
        raise UserError(f"{len(order)} windows are too few to divide at random; add tracks or take fewer --num_frames")
    chosen = order[low:high]
    return Places(places.tracks[chosen], places.starts[chosen])


def _grid(config: Config, bank: track_bank.TrackBank) -> Places:
    """List windows that follow each other in every track; a track shorter than a window has one."""
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
        config: Of the corpus, from `load_corpus`.
        split: From `prepare_split`.
        training: Whether to go on without end, every excerpt drawn and changed anew; otherwise one pass over windows
            that are always the same and as they are.
        initial_step: How many batches training has seen.
        num_batches: How many there are to be, of training batches that other machines make; see `excerpts.drawn_batches`.

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
    """Read the stems of excerpts, int16 `(batch, stems, num_samples, channels)`."""
    bank = split.bank
    return excerpts.read_tensor(bank.pcm, places, num_samples, np.arange(len(bank.stems)), anywhere=anywhere)


def _training_seed(config: Config, share: workers.Share) -> int:
    return stream_seed(config.seed, "separation.training") + share.seed_offset


def _training_places(config: Config, split: Split, step: int, share: workers.Share) -> Places:
    """Draw what a worker's share of a training batch is cut from."""
    seed = _training_seed(config, share)
    if split.windows is None:
        return mixing.draw(config, split.bank, share.batch_size, mixing.cut_samples(config), (seed, step))
    rng = np.random.default_rng((seed, step))
    chosen = rng.integers(len(split.windows.tracks), size=share.batch_size)
    return Places(split.windows.tracks[chosen], split.windows.starts[chosen])


def batch_files(config: Config, split: Split, step: int) -> list[str]:
    """Return what each example of a training batch was read from: tracks, and where in them; once where stems agree.

    Args:
        config: As for `build_dataset`.
        split: The training split, from `prepare_split`.
        step: How many training batches come before.
    """
    return [
        " + ".join(dict.fromkeys(map(split.bank.describe, tracks, starts)))
        for tracks, starts in zip(*_training_places(config, split, step, workers.share(config.batch_size)), strict=True)
    ]


def _pair(config: Config, parts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.reduce_sum(parts, axis=1), parts[:, : len(config.stems)]


def _fixed_windows(config: Config, split: Split) -> Places:
    """Choose the windows of a pass: at most `validation_excerpts`, spread over the tracks."""
    places = split.windows or _grid(config, split.bank)
    seed = stream_seed(config.seed, f"separation.evaluated.{split.name}")
    order = np.random.default_rng(seed).permutation(len(places.tracks))
    chosen = np.sort(order[: config.validation_excerpts])
    return Places(places.tracks[chosen], places.starts[chosen])


def steps_per_epoch(config: Config, split: Split) -> int:
    """Return how many training batches make an epoch: as many examples as there are windows, unless told."""
    windows = split.windows or _grid(config, split.bank)
    return max(1, (config.epoch_examples or len(windows.tracks)) // config.batch_size)


def read_tracks(corpus: Corpus, split: str) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Read whole tracks for evaluation, one after another: name, mixture `(samples, channels)`, stems; see `tracks.read`.

    Tracks that cannot be used are left out with a warning.
    """
    config = corpus.config
    for name, rows in manifest.select(corpus.manifest, split).groupby("track", sort=True):
        try:
            yield name, *tracks.read(rows, config.stems, config.sample_rate, config.num_channels)
        except UserError as error:
            logging.warning("left out: %s", error)


def num_tracks(corpus: Corpus, split: str) -> int:
    """Return how many tracks a split has."""
    return manifest.select(corpus.manifest, split)["track"].nunique()


def groups_of(corpus: Corpus, split: str) -> set[str]:
    """Return the singers, or where they are not known the tracks, of a split."""
    table = manifest.select(corpus.manifest, split)
    return set(_groups(table))


def describe(split: Split) -> str:
    """Say what a split is made of, for the log."""
    number = len(split.bank.tracks)
    text = f"{split.name}: {number} tracks, {split.bank.seconds / 60:.1f} min"
    return text if split.windows is None else f"{text} shared, {len(split.windows.tracks)} windows its own"

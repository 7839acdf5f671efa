"""Read recordings of music, and build batches of excerpts."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from common import other_corpus
from common.audio import waveform
from common.corpora import manifest
from common.corpora.tracks import MIXTURE
from common.data import decoded, shards, track_bank
from common.data import excerpts as cuts
from common.data.excerpts import Places
from common.distribution import strategy, workers
from common.log import logger
from common.seeds import stream_seed
from generation import recordings
from generation.config import Config

_STATISTICS_EXCERPTS = 256
_EXPORT_EXCERPTS = 2


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The tracks of a configuration.

    Attributes:
        config: The configuration.
        manifest: One row per track.
        shards_dir: Folder of decoded tracks.
    """

    config: Config
    manifest: pd.DataFrame
    shards_dir: Path


@dataclasses.dataclass(frozen=True)
class Split:
    """The tracks of a split, each at least as long as an excerpt.

    Attributes:
        name: `train`, `validation` or `test`.
        bank: The tracks; the mixture is the only stem.
    """

    name: str
    bank: track_bank.TrackBank


def load_corpus(config: Config, shards_dir: str | Path, *, download: bool = False) -> Corpus:
    """List the tracks of the corpus.

    Args:
        config: Gives the corpus, its folder and the genres.
        shards_dir: Folder for decoded tracks.
        download: Whether to download the corpus if it is missing.

    Raises:
        UserError: The folder is missing, has no music or none of a genre, or the download fails.
    """
    table = recordings.index(config, download=download)
    return Corpus(config, table, Path(shards_dir))


def with_corpus(config: Config, corpus: str | None, data_dir: str | None) -> Config:
    """Return a trained configuration with another corpus or folder; see `common.other_corpus`."""
    return other_corpus.with_corpus(config, corpus, data_dir, split_rule="official", genre=())


def of_training(config: Config, elsewhere: Config) -> Config:
    """Return where the training tracks of a run are now.

    Args:
        config: The configuration of the training.
        elsewhere: From `with_corpus`: the corpus to evaluate on. If it is the training corpus in another folder and the
            folder of the training no longer exists, it has the training tracks.
    """
    moved = elsewhere.corpus == config.corpus and elsewhere.data_dir != config.data_dir
    if not moved or not config.data_dir or Path(config.data_dir).is_dir():
        return config
    logger.warning("%s no longer exists: training tracks are read from %s", config.data_dir, elsewhere.data_dir)
    return elsewhere


def prepare_split(corpus: Corpus, split: str) -> Split:
    """Decode the tracks of a split, unless they are already decoded; tracks shorter than an excerpt are rejected.

    Raises:
        UserError: The split has no tracks, or too many tracks cannot be used.
    """
    config = corpus.config
    rows = manifest.select(corpus.manifest, split)
    bank = track_bank.prepare(
        rows,
        corpus.shards_dir,
        (MIXTURE,),
        config.sample_rate,
        1,
        max_rejected=config.max_rejected,
        description=f"preparing {split}",
    )
    return Split(split, _long_enough(config, rows, bank))


def _long_enough(config: Config, rows: pd.DataFrame, bank: track_bank.TrackBank) -> track_bank.TrackBank:
    short = [name for name, pcm in zip(bank.tracks, bank.pcm, strict=True) if len(pcm) < config.num_samples]
    if not short:
        return bank
    paths = rows.set_index("track")["path"]
    too_short = pd.DataFrame({"path": [paths[name] for name in short]})
    too_short["reason"] = too_short["path"] + f" is shorter than an excerpt of {config.clip_seconds:g} s"
    rejected = pd.concat([bank.rejected, too_short])
    decoded.check_rejected(rejected, rows["track"].nunique(), config.max_rejected, "tracks")
    kept = [index for index, name in enumerate(bank.tracks) if name not in short]
    parts = {name: tuple(getattr(bank, name)[index] for index in kept) for name in ("tracks", "groups", "pcm")}
    return dataclasses.replace(bank, **parts, rejected=rejected)


def build_dataset(
    config: Config, split: Split, *, training: bool = False, initial_step: int = 0, num_batches: int | None = None
) -> tf.data.Dataset:
    """Build the batches of a split.

    Args:
        config: The configuration.
        split: From `prepare_split`.
        training: Whether to return an endless dataset of excerpts, from random positions unless `excerpts` is
            `consecutive`. Otherwise the dataset is one pass over the consecutive excerpts.
        initial_step: Number of batches that training has already seen.
        num_batches: Number of training batches, if other machines make them; see `excerpts.drawn_batches`.

    Returns:
        Batches of waveforms `(batch, num_samples)`, float32.
    """
    if training:
        share = workers.share(config.batch_size)
        batch_examples = share.batch_size * config.discriminator_steps

        def draw(step: int) -> Places:
            return random_places(config, split, batch_examples, _training_seed(config, int(step), share))

        def batch(step: tf.Tensor, *places: tf.Tensor) -> tf.Tensor:
            excerpts = cuts.read_tensor(split.bank.pcm, places, config.num_samples, anywhere=num_batches is not None)
            return tf.cast(excerpts[..., 0], tf.float32) / waveform.PCM16_SCALE

        batches = cuts.drawn_batches(draw, initial_step, num_batches)
        return shards.finish(batches.map(batch, num_parallel_calls=shards.NUM_PARALLEL, deterministic=True))
    excerpts = consecutive_excerpts(config, split)
    batch_size = strategy.evaluation_batch_size(len(excerpts), config.batch_size)
    return shards.finish(tf.data.Dataset.from_tensor_slices(excerpts).batch(batch_size))


def _training_seed(config: Config, step: int, share: workers.Share) -> tuple[int, int]:
    return stream_seed(config.seed, "generation.training") + share.seed_offset, step


def export_excerpts(config: Config, split: Split) -> np.ndarray:
    """Return some excerpts of a split, to compare exports on, shape `(excerpts, num_samples)`."""
    return consecutive_excerpts(config, split)[:_EXPORT_EXCERPTS]


def batch_files(config: Config, split: Split, step: int) -> list[str]:
    """Return the track and position that each example of a training batch was read from.

    Args:
        config: As for `build_dataset`.
        split: The training split, from `prepare_split`.
        step: Index of the training batch.
    """
    share = workers.share(config.batch_size)
    num_excerpts = share.batch_size * config.discriminator_steps
    places = random_places(config, split, num_excerpts, _training_seed(config, step, share))
    return [split.bank.describe(track, start) for track, start in zip(*places, strict=True)]


def random_excerpts(config: Config, split: Split, num_excerpts: int, seed: tuple[int, int]) -> np.ndarray:
    """Return random excerpts: from any position in any track, or, if `excerpts` is `consecutive`, any consecutive one.

    All positions are equally likely, so long tracks are drawn more often.

    Returns:
        Waveforms `(num_excerpts, num_samples)`, float32.
    """
    return _cut(config, split, random_places(config, split, num_excerpts, seed))


def random_places(config: Config, split: Split, num_excerpts: int, seed: tuple[int, int]) -> Places:
    """Draw the positions of `random_excerpts`."""
    rng = np.random.default_rng(seed)
    if config.excerpts == "consecutive":
        places = consecutive_places(config, split)
        chosen = rng.integers(len(places.tracks), size=num_excerpts)
        return Places(places.tracks[chosen], places.starts[chosen])
    starts = np.array([len(pcm) - config.num_samples + 1 for pcm in split.bank.pcm])
    tracks = rng.choice(len(starts), num_excerpts, p=starts / starts.sum())
    return Places(tracks, (rng.random(num_excerpts) * starts[tracks]).astype(np.int64))


def consecutive_places(config: Config, split: Split, hop_seconds: float | None = None) -> Places:
    """List the positions of excerpts in every track, with a hop of `hop_seconds`; without overlap if it is None."""
    hop = round((hop_seconds or config.clip_seconds) * config.sample_rate)
    starts = [np.arange(0, len(pcm) - config.num_samples + 1, hop) for pcm in split.bank.pcm]
    return Places(np.repeat(np.arange(len(starts)), [len(each) for each in starts]), np.concatenate(starts))


def consecutive_excerpts(config: Config, split: Split, hop_seconds: float | None = None) -> np.ndarray:
    """Return excerpts of every track, with a hop of `hop_seconds`; without overlap if it is None.

    Returns:
        Waveforms `(excerpts, num_samples)`, float32.
    """
    return _cut(config, split, consecutive_places(config, split, hop_seconds))


def tracks(split: Split) -> list[np.ndarray]:
    """Return whole tracks, each `(samples,)` float32."""
    return [waveform.from_pcm16(pcm[:, 0, 0]) for pcm in split.bank.pcm]


def _cut(config: Config, split: Split, places: Places) -> np.ndarray:
    return waveform.from_pcm16(cuts.read(split.bank.pcm, places, config.num_samples)[..., 0])


def statistics_excerpts(config: Config, split: Split) -> np.ndarray:
    """Return at most 256 consecutive excerpts, from which the scale of spectrograms is computed."""
    excerpts = consecutive_excerpts(config, split)
    chosen = np.linspace(0, len(excerpts) - 1, min(len(excerpts), _STATISTICS_EXCERPTS)).astype(int)
    return excerpts[chosen]


def steps_per_epoch(config: Config, split: Split) -> int:
    """Return the number of training batches in an epoch.

    An epoch has `epoch_examples` examples, or as many as there are consecutive excerpts if that is 0.
    """
    examples = config.epoch_examples or sum(len(pcm) // config.num_samples for pcm in split.bank.pcm)
    return max(1, examples // config.step_examples)


def describe(split: Split) -> str:
    """Describe a split for the log."""
    return f"{split.name}: {len(split.bank.tracks)} tracks, {split.bank.seconds / 60:.1f} min"

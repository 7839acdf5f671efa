"""Input pipeline: decodes, labels and augments recordings, and batches them."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from common import other_corpus
from common.augmentation import waveform as augment
from common.corpora import manifest as manifests
from common.data import noise_bank, shards
from common.distribution import strategy, workers
from common.errors import UserError
from common.seeds import stream_seed
from kws import other_words, recordings
from kws.config import Config

_MAX_NOISE_CLIPS = 2000
_MIX_ALPHA = 0.4
_EXPORT_EXCERPTS = 32


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The recordings of a configuration.

    Attributes:
        config: The configuration, with `words` filled in.
        manifest: One row per clip; `label` is one of `config.labels`.
        noise: Recordings of background noise, with splits and durations; may be empty.
        unseen: Recordings of words excluded from training, with the labels of the corpus; may be empty.
        shards_dir: Folder of the decoded recordings.
    """

    config: Config
    manifest: pd.DataFrame
    noise: pd.DataFrame
    unseen: pd.DataFrame
    shards_dir: Path


@dataclasses.dataclass(frozen=True)
class Split:
    """The clips of a split.

    Attributes:
        name: `train`, `validation`, `test` or `all`.
        shards: The clips, decoded.
        noise: The split's recordings of background noise; may be empty.
        shards_dir: Folder of the decoded recordings.
    """

    name: str
    shards: shards.Shards
    noise: pd.DataFrame
    shards_dir: Path

    @property
    def table(self) -> pd.DataFrame:
        """One row per clip, in reading order."""
        return self.shards.manifest.iloc[self.shards.rows]


def load_corpus(config: Config, shards_dir: str | Path, *, download: bool = False, trained: bool = False) -> Corpus:
    """List and label the recordings of a configuration's corpora.

    Args:
        config: Names the corpora, their folders and the words; empty `words` are filled in.
        shards_dir: Folder for decoded recordings.
        download: Whether to download a missing corpus.
        trained: Whether the words are those of a model trained on another corpus, or with noise that is gone. Some
            classes may then be missing from this corpus, but a folder must not contain one that the model does not
            know.

    Raises:
        UserError: A folder is missing or empty, a word has no recordings, or the model does not know a label.
    """
    table = pd.concat(recordings.index(config, download, trained), ignore_index=True)
    if not config.words:
        config = dataclasses.replace(config, words=recordings.default_words(config, table))
    if config.split_rule == "folds":
        config, table = recordings.split_by_folds(config, table)
    fits = config.fits_head and not trained
    keeps_test = fits and recordings.has_test(config, table)
    table = recordings.for_fitting(table, keeps_test) if fits and config.split_rule == "official" else table
    noises = recordings.noise_of(config, table)
    noises = recordings.for_fitting(noises, keeps_test) if fits else noises
    recordings.check_words(config, table, trained)
    unseen = recordings.unseen(config, table)
    table = recordings.labelled(config, table, noises, trained)
    if config.split_rule == "random":
        table = recordings.split_at_random(table, config.seed)
    if not trained:
        table = other_words.completed(config, table)
    table = recordings.for_fitting(table, keeps_test) if fits else recordings.with_recorded_share(config, table)
    return Corpus(config, table, noises, unseen, Path(shards_dir))


def with_corpus(config: Config, corpus: str | None, data_dir: str | None) -> Config:
    """Return a trained configuration for another corpus or folder; see `common.other_corpus`."""
    return other_corpus.with_corpus(config, corpus, data_dir, split_rule="official")


def prepare_split(corpus: Corpus, split: str) -> Split:
    """Decode the recordings of a split, unless they are decoded already."""
    config = corpus.config
    if config.fits_head and split not in ("all", *corpus.manifest["split"]):
        raise UserError(
            f"there is no {split} split: all recordings train a head that is fitted, and metrics.json has the estimate; use"
            " --split=all, or give other recordings"
        )
    prepared = shards.prepare(
        manifests.select(corpus.manifest, split),
        corpus.shards_dir,
        config.sample_rate,
        clip_seconds=config.clip_seconds,
        max_rejected=config.max_rejected,
        description=f"preparing {split}",
    )
    return Split(split, prepared, corpus.noise[corpus.noise["split"] == split], corpus.shards_dir)


def build_dataset(
    config: Config,
    split: Split,
    *,
    training: bool = False,
    initial_step: int = 0,
    teachers: Sequence[keras.Model] = (),
) -> tf.data.Dataset:
    """Build the batches of a split.

    Args:
        config: The configuration, from `load_corpus`.
        split: From `prepare_split`.
        training: Whether to shuffle, augment and repeat forever; otherwise one pass in stored order.
        initial_step: Number of training batches to skip.
        teachers: Models whose averaged predictions are mixed into the training labels with `config.teacher_weight`.

    Returns:
        Batches of (waveform `(batch, num_samples)` float32, label `(batch, len(labels))` float32). Labels are one-hot;
        in training they are soft with mixup or teachers.
    """
    prepared = split.shards
    targets = tf.constant(target_indices(config, prepared.manifest["label"]), tf.int32)

    def one_hot(rows: tf.Tensor) -> tf.Tensor:
        return tf.one_hot(tf.gather(targets, rows), len(config.labels))

    if not training:
        batch_size = strategy.evaluation_batch_size(len(prepared.rows), config.batch_size)
        batches = shards.read(prepared, config.num_samples, batch_size)
        return shards.finish(batches.map(lambda waveform, rows: (waveform, one_hot(rows))))
    share = workers.share(config.batch_size)
    batches = shards.stream(prepared, config.num_samples, share.batch_size, config.seed, initial_step, share)
    bank = noise_of_training(config, split)

    def example(waveform: tf.Tensor, rows: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        waveform, label = augment_batch(config, waveform, bank, seed), one_hot(rows)
        if config.mixup_probability:
            mix_seed = tf.random.split(seed, 8)[7]
            waveform, label = augment.mix_examples(
                waveform, label, mix_seed, _MIX_ALPHA, probability=config.mixup_probability
            )
        if teachers:
            predicted = tf.add_n([teacher(waveform, training=False) for teacher in teachers]) / len(teachers)
            label = (1 - config.teacher_weight) * label + config.teacher_weight * predicted
        return waveform, label

    return shards.finish(batches.map(example, num_parallel_calls=shards.NUM_PARALLEL, deterministic=True))


def copies(config: Config, split: Split, number: int, bank: tf.Tensor | None) -> tf.data.Dataset:
    """Build batches of waveforms `(batch, num_samples)` of a split, in stored order, for heads that are fitted.

    Args:
        config: The configuration, from `load_corpus`.
        split: From `prepare_split`.
        number: 0 for the clips themselves, 1 and more for augmented copies of them.
        bank: From `noise_of_training`.
    """
    batches = clip_batches(config, split.shards)
    if not number:
        return batches
    seed = stream_seed(config.seed, "kws.few", number)
    return batches.enumerate().map(
        lambda step, waveforms: augment_batch(config, waveforms, bank, tf.stack([seed, tf.cast(step, tf.int32)]))
    )


def export_excerpts(config: Config, split: Split) -> np.ndarray:
    """Return some clips of a split, to compare exports on, shape `(clips, num_samples)`."""
    clips = build_dataset(config, split).unbatch().take(_EXPORT_EXCERPTS)
    return np.stack([waveform for waveform, _ in clips.as_numpy_iterator()])


def batch_files(config: Config, split: Split, step: int) -> list[str]:
    """Return the recording of each example of a training batch, without noise and clips that are mixed in.

    Args:
        config: The configuration, from `load_corpus`.
        split: The training split, from `prepare_split`.
        step: Index of the training batch.
    """
    share = workers.share(config.batch_size)
    rows = shards.batch_rows(split.shards, share.batch_size, config.seed, step, share)
    return [str(path) for path in split.shards.manifest["path"].iloc[rows]]


def clip_names(split: Split) -> list[str]:
    """Return the name of each clip of a split: file name with its folder, and the start in the file if it is not 0."""
    return [
        "/".join(Path(path).parts[-2:]) + (f" at {start:.2f} s" if start else "")
        for path, start in zip(split.table["path"], split.table["start"], strict=True)
    ]


def clip_batches(config: Config, prepared: shards.Shards) -> tf.data.Dataset:
    """Build batches of waveforms `(batch, num_samples)` without labels, in stored order."""
    batch_size = strategy.evaluation_batch_size(len(prepared.rows), config.batch_size)
    batches = shards.read(prepared, config.num_samples, batch_size)
    return shards.finish(batches.map(lambda waveform, rows: waveform))


def steps_per_epoch(config: Config, split: Split) -> int:
    """Return the number of training batches per epoch."""
    return max(1, (config.epoch_examples or len(split.shards.rows)) // config.batch_size)


def describe(split: Split) -> str:
    """Return a summary of a split for the log."""
    return f"{split.name}: {len(split.shards.rows):,} clips"


def target_indices(config: Config, labels: Sequence[str]) -> np.ndarray:
    """Return the model's output index of each label, shape `(len(labels),)`."""
    index = {label: position for position, label in enumerate(config.labels)}
    return np.array([index[label] for label in labels], np.int32)


def augment_batch(config: Config, waveforms: tf.Tensor, bank: tf.Tensor | None, seed: tf.Tensor) -> tf.Tensor:
    """Augment each clip of a batch independently.

    Args:
        config: Which augmentations, and how much.
        waveforms: Shape `(batch, num_samples)`.
        bank: Recorded noise `(clips, num_samples)`; None means generated coloured noise.
        seed: Shape `(2,)`; the same seed gives the same result.

    Returns:
        Shape `(batch, num_samples)`.
    """
    seeds = tf.unstack(tf.random.split(seed, 7))
    if config.max_speed:
        waveforms = augment.speed(waveforms, seeds[0], 1 - config.max_speed, 1 + config.max_speed)
    if config.reverberation_probability:
        waveforms = augment.reverberate(
            waveforms, seeds[1], (0.1, 0.6), config.sample_rate, probability=config.reverberation_probability
        )
    if config.max_shift_ms:
        waveforms = augment.shift(waveforms, seeds[2], round(config.max_shift_ms / 1000 * config.sample_rate))
    if config.noise_probability:
        if bank is None:
            noises = augment.colored_noise(tf.shape(waveforms), seeds[3])
        else:
            chosen = tf.random.stateless_uniform([tf.shape(waveforms)[0]], seeds[3], 0, tf.shape(bank)[0], tf.int32)
            noises = tf.gather(bank, chosen)
        waveforms = augment.add_noise(
            waveforms, noises, seeds[4], config.min_snr_db, config.max_snr_db, probability=config.noise_probability
        )
    if config.max_gain_db:
        waveforms = augment.gain(waveforms, seeds[5], -config.max_gain_db, config.max_gain_db)
    return waveforms


def noise_of_training(config: Config, split: Split) -> tf.Tensor | None:
    """Decode a split's noise into memory; None if it has none or `noise_probability` is 0."""
    if not config.noise_probability:
        return None
    return noise_bank.build(
        split.noise,
        split.shards_dir,
        config.sample_rate,
        config.clip_seconds,
        max_clips=_MAX_NOISE_CLIPS,
        max_rejected=config.max_rejected,
    )

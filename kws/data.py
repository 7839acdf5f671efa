"""From corpora to batches: which recordings, which labels, which augmentation."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.model_selection import train_test_split

from common import augment, distribution, shards
from common.corpora import CORPORA, noise
from common.corpora import manifest as manifests
from common.errors import UserError, nearest
from kws.config import COMMAND_WORDS, SILENCE, UNKNOWN, Config

BACKGROUND_NOISE = "_background_noise_"
_MAX_NOISE_CLIPS = 2000


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The recordings a configuration names.

    Attributes:
        config: The configuration with its `words` filled in.
        manifest: A row a clip; `label` is one of `config.labels`.
        noise: Recordings of background noise, with splits and durations; may be empty.
        shards_dir: Where decoded recordings are kept.
    """

    config: Config
    manifest: pd.DataFrame
    noise: pd.DataFrame
    shards_dir: Path


def load_corpus(config: Config, shards_dir: str | Path, *, download: bool = False, trained: bool = False) -> Corpus:
    """List the recordings of a configuration's corpora and give each its label.

    Args:
        config: Names the corpora, their folders and the words; empty `words` are filled in.
        shards_dir: Where decoded recordings are to be kept.
        download: Whether to fetch what is not there.
        trained: Whether the words are those of a trained model: the corpus may then lack some of them, but a folder may
            not hold a class that the model cannot answer.

    Raises:
        UserError: A folder is missing or holds no recordings, a word has none, or the model does not know a label.
    """
    table = pd.concat(_manifests(config, download), ignore_index=True)
    if not config.words:
        config = dataclasses.replace(config, words=_default_words(config, table))
    noises = _noise(config, table)
    _check_words(config, table, trained)
    table = _labelled(config, table, noises)
    if config.split_rule == "random":
        table = _split_at_random(table, config.seed)
    return Corpus(config, table, noises, Path(shards_dir))


def with_corpus(config: Config, corpus: str | None, data_dir: str | None) -> Config:
    """Return a trained configuration that looks at another corpus or folder; None keeps the one trained on."""
    if corpus is None and data_dir is None:
        return config
    # The random split belongs to the corpus it was drawn from.
    split_rule = config.split_rule if corpus in (None, config.corpus) else "official"
    return dataclasses.replace(config, corpus=corpus or config.corpus, data_dir=data_dir or "", split_rule=split_rule)


def prepare_split(corpus: Corpus, split: str) -> shards.Shards:
    """Decode the recordings of a split, or find them decoded."""
    config = corpus.config
    return shards.prepare(
        manifests.select(corpus.manifest, split),
        corpus.shards_dir,
        config.sample_rate,
        clip_seconds=config.clip_seconds,
        max_rejected=config.max_rejected,
        description=f"preparing {split}",
    )


def build_dataset(
    corpus: Corpus, prepared: shards.Shards, *, training: bool = False, initial_epoch: int = 0
) -> tf.data.Dataset:
    """Build the batches of a split.

    Args:
        corpus: From `load_corpus`.
        prepared: The split, from `prepare_split`.
        training: Whether to shuffle, augment and go on without end; otherwise one pass in stored order.
        initial_epoch: The epoch to begin with in training.

    Returns:
        Batches of (waveform `(batch, num_samples)` float32, one-hot label `(batch, len(labels))` float32).
    """
    config = corpus.config
    targets = tf.constant(target_indices(config, prepared.manifest["label"]), tf.int32)

    def one_hot(rows: tf.Tensor) -> tf.Tensor:
        return tf.one_hot(tf.gather(targets, rows), len(config.labels))

    if not training:
        batch_size = distribution.evaluation_batch_size(len(prepared.rows), config.batch_size)
        batches = shards.read(prepared, config.num_samples, batch_size)
        return shards.finish(batches.map(lambda waveform, rows: (waveform, one_hot(rows))))
    batch_size = min(config.batch_size, len(prepared.rows))
    batches = shards.stream(prepared, config.num_samples, batch_size, config.seed, initial_epoch)
    bank = noise_bank(corpus)
    return shards.finish(
        batches.map(
            lambda waveform, rows, seed: (augment_batch(config, waveform, bank, seed), one_hot(rows)),
            num_parallel_calls=shards.NUM_PARALLEL,
            deterministic=True,
        )
    )


def steps_per_epoch(config: Config, prepared: shards.Shards) -> int:
    """Return how many training batches make an epoch."""
    return max(1, len(prepared.rows) // config.batch_size)


def target_indices(config: Config, labels: Sequence[str]) -> np.ndarray:
    """Return the model's output index of each label, shape `(len(labels),)`."""
    index = {label: position for position, label in enumerate(config.labels)}
    return np.array([index[label] for label in labels], np.int32)


def augment_batch(config: Config, waveforms: tf.Tensor, noise_bank: tf.Tensor | None, seed: tf.Tensor) -> tf.Tensor:
    """Change every clip of a batch in its own way, as the configuration says.

    Args:
        config: Which augmentations, and how much.
        waveforms: Shape `(batch, num_samples)`.
        noise_bank: Recorded noise `(clips, num_samples)`; None draws coloured noise instead.
        seed: Shape `(2,)`; the same seed gives the same result.

    Returns:
        Shape `(batch, num_samples)`.
    """
    seeds = tf.unstack(tf.random.split(seed, 7))
    if config.max_speed:
        waveforms = augment.speed(waveforms, seeds[0], 1 - config.max_speed, 1 + config.max_speed)
    if config.reverberation_probability:
        waveforms = augment.reverberate(
            waveforms, seeds[1], 0.1, 0.6, config.sample_rate, probability=config.reverberation_probability
        )
    if config.max_shift_ms:
        waveforms = augment.shift(waveforms, seeds[2], round(config.max_shift_ms / 1000 * config.sample_rate))
    if config.noise_probability:
        if noise_bank is None:
            noises = augment.colored_noise(tf.shape(waveforms), seeds[3])
        else:
            chosen = tf.random.stateless_uniform(
                [tf.shape(waveforms)[0]], seeds[3], 0, tf.shape(noise_bank)[0], tf.int32
            )
            noises = tf.gather(noise_bank, chosen)
        waveforms = augment.add_noise(
            waveforms, noises, seeds[4], config.min_snr_db, config.max_snr_db, probability=config.noise_probability
        )
    if config.max_gain_db:
        waveforms = augment.gain(waveforms, seeds[5], -config.max_gain_db, config.max_gain_db)
    return waveforms


def _manifests(config: Config, download: bool) -> list[pd.DataFrame]:
    names = config.corpus.split(",")
    folders = config.data_dir.split(",") if config.data_dir else [""] * len(names)
    if len(folders) != len(names):
        raise UserError(f"--data_dir: expected {len(names)} folders, one for each corpus, got {len(folders)}")
    tables = []
    for name, folder in zip(names, folders, strict=True):
        if not folder and name == "folder":
            raise UserError(
                "--corpus=folder needs --data_dir, a folder that holds one folder of recordings for each word"
            )
        root = Path(folder or f"data/{name}")
        if name == "synthetic":
            words = config.words or COMMAND_WORDS
            table = CORPORA[name].index(
                root,
                words,
                config.language,
                config.clips_per_word,
                seed=0,
                unknown=config.unknown,
                silence=config.silence,
            )
        else:
            if download:
                if not hasattr(CORPORA[name], "download"):
                    raise UserError(
                        f"--download: the corpus {name} has no public address; give its folder by --data_dir"
                    )
                CORPORA[name].download(root)
            table = CORPORA[name].index(root)
        tables.append(table)
    return tables


def _default_words(config: Config, table: pd.DataFrame) -> tuple[str, ...]:
    if config.corpus == "folder":
        return tuple(sorted(set(table["label"]) - {SILENCE, UNKNOWN, BACKGROUND_NOISE}))
    return COMMAND_WORDS


def _noise(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """List recordings of background noise: of `--noise_dir`, else of the corpus."""
    if config.noise_dir:
        return noise.index(Path(config.noise_dir))
    return noise.measured(table[table["label"].isin([BACKGROUND_NOISE, SILENCE])])


def _check_words(config: Config, table: pd.DataFrame, trained: bool) -> None:
    available = set(table["label"])
    where = config.data_dir or config.corpus
    missing = [word for word in config.words if word not in available]
    if missing and (not trained or len(missing) == len(config.words)):
        raise UserError(f'no recordings of the word "{missing[0]}" in {where}.{nearest(missing[0], available)}')
    others = sorted(available - {*config.labels, SILENCE, UNKNOWN, BACKGROUND_NOISE})
    if trained and others and "folder" in config.corpus.split(",") and not config.unknown:
        raise UserError(
            f'{where} holds the class "{others[0]}", which the model does not know (its labels: {", ".join(config.labels)});'
            " take that folder out, or train with --unknown"
        )


def _labelled(config: Config, table: pd.DataFrame, noises: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows that belong to a class of the model, under that class's name."""
    parts = [table[table["label"].isin(config.words)]]
    others = table[~table["label"].isin({*config.words, SILENCE, BACKGROUND_NOISE})]
    if config.unknown:
        if others.empty:
            raise UserError(
                "--unknown needs recordings of other words than the keywords; add some or leave --unknown out"
            )
        parts.append(_as_frequent(others.assign(label=UNKNOWN), parts[0], config))
    elif len(others):
        logging.info("%d recordings of %d other words are left out", len(others), others["label"].nunique())
    if config.silence:
        silent = table[table["label"] == SILENCE]
        if silent.empty and noises.empty:
            raise UserError(
                f"--silence needs noise: a folder {SILENCE} or {BACKGROUND_NOISE} in the corpus, or --noise_dir"
            )
        if silent.empty:
            counts = {split: _word_frequency(parts[0], split, config) for split in noises["split"].unique()}
            cuts = [
                noise.draw(noises[noises["split"] == split], config.clip_seconds, count)
                for split, count in counts.items()
            ]
            silent = pd.concat(cuts).assign(label=SILENCE)
        parts.append(_as_frequent(silent, parts[0], config))
    return pd.concat(parts, ignore_index=True)


def _word_frequency(keywords: pd.DataFrame, split: str, config: Config) -> int:
    """Return how many clips a keyword has in a split on average, at least 1."""
    return max(1, round((keywords["split"] == split).sum() / len(config.words)))


def _as_frequent(rows: pd.DataFrame, keywords: pd.DataFrame, config: Config) -> pd.DataFrame:
    """Draw at most as many rows in each split as a keyword has there on average."""
    return pd.concat(
        part.sample(min(len(part), _word_frequency(keywords, split, config)), random_state=0)
        for split, part in rows.groupby("split", sort=True)
    )


def _split_at_random(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Split 81 / 9 / 10 % without regard to speakers, as the report does."""
    rest, test = train_test_split(np.arange(len(table)), test_size=0.1, random_state=seed)
    _, validation = train_test_split(rest, test_size=0.1, random_state=seed)
    split = np.full(len(table), "train", object)
    split[test], split[validation] = "test", "validation"
    return table.assign(split=split)


def noise_bank(corpus: Corpus) -> tf.Tensor | None:
    """Decode the training split's noise into memory; None if the corpus has none."""
    config = corpus.config
    rows = corpus.noise[corpus.noise["split"] == "train"] if len(corpus.noise) else corpus.noise
    if not config.noise_probability or rows.empty:
        return None
    rows = noise.excerpts(rows, config.clip_seconds)
    rows = rows.sample(min(len(rows), _MAX_NOISE_CLIPS), random_state=0)
    prepared = shards.prepare(
        rows, corpus.shards_dir, config.sample_rate, max_rejected=config.max_rejected, description="preparing noise"
    )
    return tf.concat([waveforms for waveforms, _ in shards.read(prepared, config.num_samples, 256)], axis=0)

"""From corpora to batches: which recordings, which labels, which augmentation."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.model_selection import train_test_split

from common import augment, distribution, shards, workers
from common import config as configs
from common.corpora import CORPORA, noise, splits
from common.corpora import manifest as manifests
from common.errors import UserError, nearest
from kws.config import COMMAND_WORDS, SILENCE, UNKNOWN, Config

BACKGROUND_NOISE = "_background_noise_"
_MAX_NOISE_CLIPS = 2000
_MIX_ALPHA = 0.4
_SPEECH_CUT = 1.5  # clips


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The recordings a configuration names.

    Attributes:
        config: The configuration with its `words` filled in.
        manifest: A row a clip; `label` is one of `config.labels`.
        noise: Recordings of background noise, with splits and durations; may be empty.
        unseen: Recordings of words that training never hears, labelled as the corpus names them; may be empty.
        shards_dir: Where decoded recordings are kept.
    """

    config: Config
    manifest: pd.DataFrame
    noise: pd.DataFrame
    unseen: pd.DataFrame
    shards_dir: Path


def load_corpus(config: Config, shards_dir: str | Path, *, download: bool = False, trained: bool = False) -> Corpus:
    """List the recordings of a configuration's corpora and give each its label.

    Args:
        config: Names the corpora, their folders and the words; empty `words` are filled in.
        shards_dir: Where decoded recordings are to be kept.
        download: Whether to fetch what is not there.
        trained: Whether the words are those of a model trained on another corpus: this one may then lack some of them,
            but a folder may not hold a class that the model cannot answer.

    Raises:
        UserError: A folder is missing or holds no recordings, a word has none, or the model does not know a label.
    """
    table = pd.concat(_manifests(config, download), ignore_index=True)
    if not config.words:
        config = dataclasses.replace(config, words=_default_words(config, table))
    if config.split_rule == "folds":
        config, table = _split_by_folds(config, table)
    noises = _noise(config, table)
    _check_words(config, table, trained)
    unseen = _unseen(config, table)
    table = _labelled(config, table, noises)
    if config.split_rule == "random":
        table = _split_at_random(table, config.seed)
    table = _with_recorded_share(config, table)
    return Corpus(config, table, noises, unseen, Path(shards_dir))


def with_corpus(config: Config, corpus: str | None, data_dir: str | None) -> Config:
    """Return a trained configuration that looks at another corpus or folder; see `common.config.with_corpus`."""
    return configs.with_corpus(config, corpus, data_dir, split_rule="official")


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
    corpus: Corpus,
    prepared: shards.Shards,
    *,
    training: bool = False,
    initial_step: int = 0,
    teachers: Sequence[keras.Model] = (),
) -> tf.data.Dataset:
    """Build the batches of a split.

    Args:
        corpus: From `load_corpus`.
        prepared: The split, from `prepare_split`.
        training: Whether to shuffle, augment and go on without end; otherwise one pass in stored order.
        initial_step: How many batches training has seen.
        teachers: Models whose averaged answers to a training clip become `config.teacher_weight` of its label.

    Returns:
        Batches of (waveform `(batch, num_samples)` float32, label `(batch, len(labels))` float32): one-hot, in training
        soft where clips are mixed or there are teachers.
    """
    config = corpus.config
    targets = tf.constant(target_indices(config, prepared.manifest["label"]), tf.int32)

    def one_hot(rows: tf.Tensor) -> tf.Tensor:
        return tf.one_hot(tf.gather(targets, rows), len(config.labels))

    if not training:
        batch_size = distribution.evaluation_batch_size(len(prepared.rows), config.batch_size)
        batches = shards.read(prepared, config.num_samples, batch_size)
        return shards.finish(batches.map(lambda waveform, rows: (waveform, one_hot(rows))))
    share = workers.share(config.batch_size)
    batches = shards.stream(prepared, config.num_samples, share.batch_size, config.seed, initial_step, share)
    bank = noise_bank(corpus)

    def example(waveform: tf.Tensor, rows: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        waveform, label = augment_batch(config, waveform, bank, seed), one_hot(rows)
        if config.mix_probability:
            mix_seed = tf.random.split(seed, 8)[7]
            waveform, label = augment.mix_examples(
                waveform, label, mix_seed, _MIX_ALPHA, probability=config.mix_probability
            )
        if teachers:
            answers = tf.add_n([teacher(waveform, training=False) for teacher in teachers]) / len(teachers)
            label = (1 - config.teacher_weight) * label + config.teacher_weight * answers
        return waveform, label

    return shards.finish(batches.map(example, num_parallel_calls=shards.NUM_PARALLEL, deterministic=True))


def batch_files(corpus: Corpus, prepared: shards.Shards, step: int) -> list[str]:
    """Return the recording that each example of a training batch was read from; noise and clips mixed in are not told.

    Args:
        corpus: From `load_corpus`.
        prepared: The training split, from `prepare_split`.
        step: How many training batches come before.
    """
    share = workers.share(corpus.config.batch_size)
    rows = shards.batch_rows(prepared, share.batch_size, corpus.config.seed, step, share)
    return [str(path) for path in prepared.manifest["path"].iloc[rows]]


def clip_batches(config: Config, prepared: shards.Shards) -> tf.data.Dataset:
    """Build batches of waveforms `(batch, num_samples)` alone, in stored order, of recordings without a class."""
    batch_size = distribution.evaluation_batch_size(len(prepared.rows), config.batch_size)
    batches = shards.read(prepared, config.num_samples, batch_size)
    return shards.finish(batches.map(lambda waveform, rows: waveform))


def steps_per_epoch(config: Config, prepared: shards.Shards) -> int:
    """Return how many training batches make an epoch."""
    return max(1, (config.epoch_examples or len(prepared.rows)) // config.batch_size)


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
            # A few recordings to add to synthetic speech are all for training; that has the other splits.
            options = {"draw_missing": False} if name == "folder" and "synthetic" in names else {}
            if name == "clusters":
                options = {"clip_seconds": config.clip_seconds}
            table = CORPORA[name].index(root, **options)
        tables.append(table.assign(corpus=name))
    return tables


def _default_words(config: Config, table: pd.DataFrame) -> tuple[str, ...]:
    if config.corpus in ("folder", "clusters"):
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
    missing = [word for word in config.unseen_words if word not in available]
    if missing and not trained:
        raise UserError(f'--unseen_words: no recordings of "{missing[0]}" in {where}.{nearest(missing[0], available)}')
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
        others = others[~_is_kept_out(config, others)]
        if others.empty:
            raise UserError(
                "--unknown needs recordings of other words than the keywords; add some or leave --unknown out"
            )
        parts.append(_as_frequent(others.assign(label=UNKNOWN), parts[0], config, config.unknown_ratio))
        if config.speech_dir:
            num_wanted = round(_word_frequency(parts[0], "train", config) * config.unknown_ratio)
            parts.append(_cuts_of_speech(config, num_wanted - (parts[-1]["split"] == "train").sum()))
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


def _cuts_of_speech(config: Config, num_cuts: int) -> pd.DataFrame:
    """Draw cuts of `--speech_dir` as unknown words to train on; keywords in running speech are rare and clipped."""
    speech = noise.measured(manifests.recordings_below(Path(config.speech_dir), "--speech_dir"))
    # A cut is later reduced to its loudest clip, so pauses drop out.
    cuts = noise.excerpts(speech, _SPEECH_CUT * config.clip_seconds).assign(
        label=UNKNOWN, split="train", corpus="speech"
    )
    return cuts.sample(min(len(cuts), max(0, num_cuts)), random_state=0)


def _unseen(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """List the recordings of words that training never hears: without `--unknown` every word but the keywords."""
    others = table[~table["label"].isin({*config.words, SILENCE, BACKGROUND_NOISE})]
    return others[others["label"].isin(config.unseen_words)] if config.unknown else others


def _is_kept_out(config: Config, others: pd.DataFrame) -> pd.Series:
    """Whether each recording of another word says one of `unseen_words` and stands where training could hear it."""
    # The synthetic corpus labels all other words alike, but keeps each in a folder of its own.
    folders = others["path"].map(lambda path: Path(path).parent.name)
    said = others["label"].where((others["corpus"] != "synthetic") | (others["label"] != UNKNOWN), folders)
    # The random split is drawn later, from all that is left.
    return said.isin(config.unseen_words) & ((others["split"] != "test") | (config.split_rule == "random"))


def _split_by_folds(config: Config, table: pd.DataFrame) -> tuple[Config, pd.DataFrame]:
    """Deal the speakers into folds, and with `--unknown` hold a fold of the other words out, unless some are named.

    Noise is divided in time already and stays. Synthetic voices only train: folds measure people.
    """
    table = table[(table["corpus"] != "synthetic") | (table["split"] == "train")].reset_index(drop=True)
    recorded = (table["corpus"] != "synthetic") & (table["label"] != BACKGROUND_NOISE)
    table.loc[recorded, "split"] = splits.assign_folds(table[recorded], config.num_folds, config.fold)["split"]
    if config.unknown and not config.unseen_words:
        others = table["label"][recorded & ~table["label"].isin({*config.words, SILENCE, UNKNOWN})]
        if others.nunique() < config.num_folds:
            logging.info("%d other words are too few to hold some out in each fold; none is", others.nunique())
        else:
            held_out = others[splits.deal(others, config.num_folds) == config.fold]
            config = dataclasses.replace(config, unseen_words=tuple(sorted(held_out.unique())))
    return config, table


def _with_recorded_share(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """Repeat recordings of people in training until they are the share of it that they are to be beside synthetic ones.

    Every repetition is augmented in another way; without any, five recordings among 800 synthetic ones are not heard.
    """
    training = table["split"] == "train"
    synthetic = table["corpus"] == "synthetic"
    recorded = table[training & ~synthetic & (table["label"] != SILENCE)]
    num_wanted = round((training & synthetic).sum() * config.recorded_share / (1 - config.recorded_share))
    num_missing = num_wanted - len(recorded)
    if recorded.empty or num_missing <= 0:
        return table
    shuffled = recorded.sample(frac=1, random_state=0)
    repeated = shuffled.iloc[np.arange(num_missing) % len(shuffled)]
    logging.info("%d recordings are repeated to be %.0f %% of training", len(recorded), 100 * config.recorded_share)
    return pd.concat([table, repeated], ignore_index=True)


def _word_frequency(keywords: pd.DataFrame, split: str, config: Config) -> int:
    """Return how many clips a keyword has in a split on average, at least 1."""
    return max(1, round((keywords["split"] == split).sum() / len(config.words)))


def _as_frequent(rows: pd.DataFrame, keywords: pd.DataFrame, config: Config, ratio: float = 1.0) -> pd.DataFrame:
    """Draw at most as many rows in each split as a keyword has there on average, in training `ratio` times as many."""
    drawn = []
    for split, part in rows.groupby("split", sort=True):
        count = round(_word_frequency(keywords, split, config) * (ratio if split == "train" else 1))
        drawn.append(part.sample(min(len(part), max(1, count)), random_state=0))
    return pd.concat(drawn)


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

"""Input pipeline: mixes recordings of speakers and batches the mixtures."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from common import other_corpus
from common.corpora import manifest, noise, prepared_mixtures
from common.data import excerpts, noise_bank, shards, speech_bank
from common.distribution import strategy, workers
from common.errors import UserError
from common.log import logger
from common.seeds import stream_seed
from counting import mixing, recordings
from counting.config import PREPARED, Config

_MODULES = {"synthetic": "utterances", "librispeech": "librispeech", "folder": "speaker_folders"}
_MAX_NOISE_SECONDS = 2000
# With `vary_noise`, speed factors of the training noise; they change the pitch too.
_NOISE_SPEEDS = (0.7, 0.84, 1.0, 1.19, 1.41)
# Evaluation mixtures of a group share a random seed, so the group size is fixed and independent of the batch size.
_GROUP = 60
_EXPORT_EXCERPTS = 32
# What a mixture of no speakers is made from.
_NOBODY = "background noise"


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The recordings of a configuration.

    Attributes:
        config: The configuration; a head `auto` is replaced by the one that the corpus allows.
        manifest: One row per recording of a speaker, or with `--corpus=prepared` one row per mixture.
        noise: Recordings of background noise, with splits and durations; may be empty.
        shards_dir: Folder of the decoded recordings.
    """

    config: Config
    manifest: pd.DataFrame
    noise: pd.DataFrame
    shards_dir: Path


@dataclasses.dataclass(frozen=True)
class Split:
    """The recordings of a split.

    Attributes:
        name: `train`, `validation` or `test`.
        shards: The decoded recordings, or with `--corpus=prepared` the decoded mixtures.
        bank: The recordings to take excerpts from; None for prepared mixtures.
        noise: Recorded noise `(clips, num_samples)` float32, or None.
    """

    name: str
    shards: shards.Shards
    bank: speech_bank.SpeechBank | None
    noise: tf.Tensor | None


def load_corpus(config: Config, shards_dir: str | Path, *, download: bool = False) -> Corpus:
    """List the recordings of a configuration's corpus.

    Raises:
        UserError: A folder is missing or has no recordings, or the corpus cannot be downloaded.
    """
    table = recordings.index(config, download=download)
    config = recordings.with_head(config, table)
    noises = noise.index(Path(config.noise_dir)) if config.noise_dir else table.iloc[:0]
    return Corpus(config, table, noises, Path(shards_dir))


def with_corpus(config: Config, corpus: str | None, data_dir: str | None) -> Config:
    """Return a trained configuration for another corpus or folder; see `common.other_corpus`."""
    return other_corpus.with_corpus(config, corpus, data_dir, subsets=())


def prepare_split(corpus: Corpus, split: str) -> Split:
    """Decode the recordings of a split, unless they are decoded already.

    Raises:
        UserError: The split has no recordings, or too many of them cannot be read.
    """
    config = corpus.config
    decoded = shards.prepare(
        manifest.select(corpus.manifest, split),
        corpus.shards_dir,
        config.sample_rate,
        max_rejected=config.max_rejected,
        description=f"preparing {split}",
    )
    bank = None if config.corpus == PREPARED else speech_bank.build(decoded)
    return Split(split, decoded, bank, _noise_of(corpus, split))


def build_dataset(
    config: Config,
    split: Split,
    *,
    training: bool = False,
    initial_step: int = 0,
    num_batches: int | None = None,
    num_examples: int | None = None,
    sexes_needed: bool = True,
) -> tf.data.Dataset:
    """Build the batches of a split.

    Args:
        config: How to mix and augment; for evaluation see `as_evaluated`.
        split: From `prepare_split`.
        training: Whether to generate new mixtures forever; otherwise one pass over fixed mixtures, cycling through the
            counts.
        initial_step: Number of training batches to skip.
        num_batches: Number of training batches to sample in advance, for a data service; see `excerpts.drawn_batches`.
        num_examples: Number of mixtures in an evaluation pass; ignored for prepared mixtures.
        sexes_needed: Whether the head `sex` requires the sex of all speakers; otherwise unknown speakers count as men.

    Returns:
        Batches of (waveform `(batch, num_samples)` float32, one-hot label `(batch, len(labels))` float32).

    Raises:
        UserError: The split has too few speakers, or their sexes are unknown.
    """
    if split.bank is None:
        return _prepared_dataset(config, split, training, initial_step)
    source = mixing.open_source(config, split.bank, split.name, varied=training, sexes_needed=sexes_needed)
    if training:
        share = workers.share(config.batch_size)
        seed = stream_seed(config.seed, "counting.training")
        mix_seed = seed + share.seed_offset

        def numbers(step: int) -> np.ndarray:
            return _training_numbers(config, step, share)

    else:
        num_examples = num_examples or num_evaluated(config, split)
        seed = mix_seed = _evaluation_seed(config, split)

        def numbers(step: int) -> np.ndarray:
            return step * _GROUP + np.arange(_GROUP)

    def draw(step: int) -> tuple[np.ndarray, ...]:
        drawn = _draw(config, source, numbers(int(step)), seed)
        return drawn.positions, drawn.counts, label_indices(config, mixing.truth(config, source, drawn))

    def example(step: tf.Tensor, positions: tf.Tensor, counts: tf.Tensor, labels: tf.Tensor) -> tuple:
        # All recordings are in one file.
        places = (tf.minimum(positions, 0), positions)
        cut = excerpts.read_tensor(source.bank.tracks, places, source.cut_samples, anywhere=num_batches is not None)[
            ..., 0
        ]
        waveforms = mixing.mix(config, cut, counts, tf.stack([mix_seed, tf.cast(step, tf.int32)]), split.noise)
        return waveforms, tf.one_hot(labels, len(config.labels))

    batches = excerpts.drawn_batches(draw, initial_step, num_batches)
    if not training:
        batches = batches.take(-(-num_examples // _GROUP))
    batches = batches.map(example, num_parallel_calls=shards.NUM_PARALLEL, deterministic=True)
    if not training:
        batch_size = strategy.evaluation_batch_size(num_examples, config.batch_size)
        batches = batches.unbatch().take(num_examples).batch(batch_size)
        batches = batches.apply(tf.data.experimental.assert_cardinality(-(-num_examples // batch_size)))
    return shards.finish(batches)


def _evaluation_seed(config: Config, split: Split) -> int:
    return stream_seed(config.seed, f"counting.evaluated.{split.name}")


def _training_numbers(config: Config, step: int, share: workers.Share) -> np.ndarray:
    """Return the numbers of a worker's mixtures in a batch; together all workers mix the same as one process would."""
    return step * config.batch_size + share.index * share.batch_size + np.arange(share.batch_size)


def _draw(config: Config, source: mixing.Source, numbers: np.ndarray, seed: int) -> mixing.Drawn:
    """Draw the mixtures with the given numbers."""
    counts = mixing.balanced_counts(config, numbers)
    return mixing.draw(source, numbers, counts, config.max_speakers, seed)


def export_excerpts(config: Config, split: Split) -> np.ndarray:
    """Return some mixtures of a split, to compare exports on, shape `(mixtures, num_samples)`."""
    dataset = build_dataset(as_evaluated(config), split, num_examples=_EXPORT_EXCERPTS, sexes_needed=False)
    return np.concatenate([waveforms for waveforms, _ in dataset.as_numpy_iterator()])[:_EXPORT_EXCERPTS]


def batch_files(config: Config, split: Split, step: int) -> list[str]:
    """Return the recordings of each example of a training batch, and the positions in them.

    Args:
        config: As for `build_dataset`.
        split: The training split, from `prepare_split`.
        step: Index of the training batch.
    """
    if split.bank is None:
        share = workers.share(config.batch_size)
        rows = shards.batch_rows(split.shards, share.batch_size, config.seed, step, share)
        return [str(path) for path in split.shards.manifest["path"].iloc[rows]]
    source = mixing.open_source(config, split.bank, split.name, varied=True, sexes_needed=False)
    numbers = _training_numbers(config, step, workers.share(config.batch_size))
    drawn = _draw(config, source, numbers, stream_seed(config.seed, "counting.training"))
    return [" + ".join(map(split.bank.describe, positions[positions >= 0])) or _NOBODY for positions in drawn.positions]


def as_evaluated(config: Config) -> Config:
    """Return the configuration without training augmentation: speed, reverberation and noise."""
    return dataclasses.replace(
        config, max_speed=0.0, reverberation_probability=0.0, noise_probability=0.0, vary_noise=False
    )


def num_evaluated(config: Config, split: Split) -> int:
    """Return the number of evaluation mixtures of a split."""
    if split.bank is None:
        return len(split.shards.rows)
    return config.validation_mixtures if split.name == "validation" else config.test_mixtures


def steps_per_epoch(config: Config, split: Split) -> int:
    """Return the number of training batches per epoch."""
    examples = config.epoch_examples or (len(split.shards.rows) if split.bank is None else 12_000)
    return max(1, examples // config.batch_size)


def evaluated_truth(config: Config, split: Split, num_examples: int | None = None) -> np.ndarray:
    """Return the numbers of women and men of each evaluation mixture, shape `(mixtures, 2)`."""
    if split.bank is None:
        return prepared_mixtures.truth(split.shards.manifest.iloc[split.shards.rows])
    source, drawn = evaluated_mixtures(config, split, num_examples)
    return mixing.truth(config, source, drawn)


def evaluated_mixtures(
    config: Config, split: Split, num_examples: int | None = None
) -> tuple[mixing.Source, mixing.Drawn]:
    """Return the speakers and excerpts of the evaluation mixtures of a split."""
    source = mixing.open_source(config, split.bank, split.name, sexes_needed=False)
    numbers = np.arange(num_examples or num_evaluated(config, split))
    counts = mixing.balanced_counts(config, numbers)
    return source, mixing.draw(source, numbers, counts, config.max_speakers, _evaluation_seed(config, split))


def evaluated_files(config: Config, split: Split, numbers: np.ndarray, num_examples: int | None = None) -> list[str]:
    """Return the recordings of the evaluation mixtures with the given numbers, with start times, separated by `;`."""
    if split.bank is None:
        return split.shards.manifest["path"].iloc[split.shards.rows[numbers]].tolist()
    _, drawn = evaluated_mixtures(config, split, num_examples)
    return [
        ";".join(map(split.bank.describe, positions[positions >= 0])) or _NOBODY
        for positions in drawn.positions[numbers]
    ]


def label_indices(config: Config, truth: np.ndarray) -> np.ndarray:
    """Return the model's output index for each pair of true numbers of women and men.

    Args:
        config: The configuration, which defines the labels.
        truth: Shape `(mixtures, 2)`.

    Raises:
        UserError: A count is outside the model's range.
    """
    keys = [tuple(row) for row in truth.tolist()]
    if config.known_sexes is None:
        keys = [(sum(key),) for key in keys]
    known = config.known_sexes or tuple((count,) for count in config.counts)
    index = {key: position for position, key in enumerate(known)}
    outside = [key for key in keys if key not in index]
    if outside:
        raise UserError(
            f"a mixture has {sum(outside[0])} speakers, expected {config.min_speakers} to {config.max_speakers}; train"
            " with another --min_speakers or --max_speakers, or remove such mixtures"
        )
    return np.array([index[key] for key in keys], np.int32)


def _prepared_dataset(config: Config, split: Split, training: bool, initial_step: int) -> tf.data.Dataset:
    truth = prepared_mixtures.truth(split.shards.manifest)
    targets = tf.constant(label_indices(config, truth))

    def example(waveforms: tf.Tensor, rows: tf.Tensor, *seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return waveforms, tf.one_hot(tf.gather(targets, rows), len(config.labels))

    if training:
        share = workers.share(config.batch_size)
        batches = shards.stream(split.shards, config.num_samples, share.batch_size, config.seed, initial_step, share)
    else:
        batch_size = strategy.evaluation_batch_size(len(split.shards.rows), config.batch_size)
        batches = shards.read(split.shards, config.num_samples, batch_size)
    return shards.finish(batches.map(example, num_parallel_calls=shards.NUM_PARALLEL, deterministic=True))


def _noise_of(corpus: Corpus, split: str) -> tf.Tensor | None:
    """Decode a split's noise into memory, at several speeds for training with `vary_noise`; None without noise."""
    config = corpus.config
    rows = corpus.noise[corpus.noise["split"] == split]
    if rows.empty and len(corpus.noise):
        logger.info("%s has no recordings for the split %s; using coloured noise", config.noise_dir, split)
    return noise_bank.build(
        rows,
        corpus.shards_dir,
        config.sample_rate,
        config.clip_seconds,
        max_clips=round(_MAX_NOISE_SECONDS / config.clip_seconds),
        max_rejected=config.max_rejected,
        speeds=_NOISE_SPEEDS if config.vary_noise and split == "train" else (),
    )


def speakers_of(corpus: Corpus, split: str) -> set[str]:
    """Return the names of the known speakers of a split."""
    return set(corpus.manifest.loc[corpus.manifest["split"] == split, "speaker"]) - {""}


def knows_sexes(split: Split) -> bool:
    """Whether the sex of every speaker of a split is known."""
    if split.bank is None:
        return not split.shards.manifest["label"].str.contains("?", regex=False).any()
    return not (split.bank.table["sex"] == "").any()


def describe(split: Split) -> str:
    """Return a summary of a split for the log."""
    if split.bank is None:
        return f"{split.name}: {len(split.shards.rows):,} mixtures"
    minutes = len(split.bank.pcm) / split.bank.sample_rate / 60
    return f"{split.name}: {split.bank.table['speaker'].nunique()} speakers, {minutes:.1f} min"


def speaker_names(config: Config, split: Split) -> list[str]:
    """Return the speakers of each evaluation mixture of a split as text, e.g. `4014 F + 652 M`."""
    if split.bank is None:
        return list(split.shards.manifest["label"].iloc[split.shards.rows])
    source, drawn = evaluated_mixtures(config, split)
    return [
        " + ".join(f"{source.speakers[one]} {source.sexes[one]}".strip() for one in row if one >= 0) or "nobody"
        for row in drawn.speakers
    ]

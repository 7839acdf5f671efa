"""Selection of the recordings of the corpora: classes, splits and class balance."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from common import corpora
from common.corpora import manifest, natural_voices, noise, splits
from common.corpora.speech_commands import BACKGROUND_NOISE
from common.encoders.config import check_embedding
from common.errors import UserError, nearest
from common.log import logger
from kws import other_words
from kws.config import COMMAND_WORDS, SILENCE, TASK, UNKNOWN, Config
from kws.folders import folders_of


def index(config: Config, download: bool, trained: bool = False) -> list[pd.DataFrame]:
    """List the recordings of each corpus of a configuration, with a column `corpus`; for `trained` see `data.load_corpus`.

    Raises:
        UserError: A folder is not given, missing or empty, or a corpus cannot be downloaded.
    """
    names = config.corpus.split(",")
    options = {
        "words": config.words or (COMMAND_WORDS if names != ["folder"] else ()),
        "language": config.language,
        "num_clips_per_word": config.clips_per_word,
        "unknown": config.unknown,
        "silence": config.silence,
        "synthesizers": natural_voices.Choice(config.synthesizers, config.kokoro_dir, download),
        "clip_seconds": config.clip_seconds,
        # Recordings added to a synthetic corpus all go to training; the synthetic corpus has the other splits.
        "draw_missing": "synthetic" not in names,
        "draw_splits": trained or not config.fits_head,
    }
    return [
        corpora.index(TASK, name, folder, download=download, **options).assign(corpus=name)
        for name, folder in zip(names, folders_of(config.data_dir, names), strict=True)
    ]


def check(config: Config, *, download: bool = False) -> None:
    """Check before anything is decoded that a training can use the recordings.

    Raises:
        UserError: As for `index`, or as for `check_words`; or a split has no recordings of the words.
    """
    check_embedding(config)
    table = pd.concat(index(config, download), ignore_index=True)
    if not config.words:
        config = dataclasses.replace(config, words=default_words(config, table))
    if config.split_rule == "folds":
        config, table = split_by_folds(config, table)
    check_words(config, table, trained=False)
    if config.split_rule == "official":
        for split in ("train",) if config.fits_head else manifest.SPLITS:
            manifest.select(table[table["label"].isin(config.words)], split)


def default_words(config: Config, table: pd.DataFrame) -> tuple[str, ...]:
    """Return the keywords if none are given: every class of a folder, else the ten command words."""
    if config.corpus in ("folder", "clusters"):
        return tuple(sorted(set(table["label"]) - {SILENCE, UNKNOWN, BACKGROUND_NOISE}))
    return COMMAND_WORDS


def noise_of(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """List the recordings of background noise, from `--noise_dir` if given, else from the corpus."""
    if config.noise_dir:
        return noise.index(config.noise_dir)
    return noise.measured(table[table["label"].isin([BACKGROUND_NOISE, SILENCE])], config.data_dir or config.corpus)


def check_words(config: Config, table: pd.DataFrame, trained: bool) -> None:
    """Check that every word has recordings and that a trained model knows every class; see `data.load_corpus`.

    Raises:
        UserError: There is only one class, a word has no recordings, or a trained model does not know a class.
    """
    if len(config.labels) < 2:
        raise UserError(
            f'the only class is "{config.labels[0]}", expected at least two; add recordings of another word, use'
            " --unknown with --speech_dir or recordings of other words, or use --silence with noise"
        )
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
            f'{where} contains the class "{others[0]}", expected only labels of the model: {", ".join(config.labels)};'
            " remove that folder, or train with --unknown"
        )


def labelled(config: Config, table: pd.DataFrame, noises: pd.DataFrame, trained: bool = False) -> pd.DataFrame:
    """Select the rows of the model's classes and set their `label` to the class; for `trained` see `data.load_corpus`.

    Raises:
        UserError: There is nothing to make `_unknown_` or `_silence_` of.
    """
    parts = [table[table["label"].isin(config.words)]]
    others = table[~table["label"].isin({*config.words, SILENCE, BACKGROUND_NOISE})]
    if config.unknown:
        others = others[~_is_excluded(config, others)]
        if len(others):
            ratio = config.unknown_ratio or 1.0
            parts.append(_as_frequent(others.assign(label=UNKNOWN), parts[0], config, ratio))
            if config.speech_dir and not trained:
                num_wanted = round(_word_frequency(parts[0], "train", config) * ratio)
                num_missing = num_wanted - (parts[-1]["split"] == "train").sum()
                parts.append(other_words.training_excerpts(config, num_missing))
        elif not trained:
            if not config.speech_dir:
                raise UserError(
                    "--unknown needs other words than the keywords; add recordings of some, or give a folder of speech"
                    " with --speech_dir"
                )
            parts.append(other_words.split_excerpts(config, parts[0]))
    elif len(others):
        logger.info("%d recordings of %d other words are not used", len(others), others["label"].nunique())
    if config.silence:
        silent = table[table["label"] == SILENCE]
        if silent.empty and noises.empty and trained:
            logger.warning("there is no noise: the class %s is left out", SILENCE)
            return pd.concat(parts, ignore_index=True)
        if silent.empty and noises.empty:
            raise UserError(
                f"--silence needs noise; add a folder {SILENCE} or {BACKGROUND_NOISE} to the corpus, or use --noise_dir"
            )
        if silent.empty:
            counts = {split: _word_frequency(parts[0], split, config) for split in noises["split"].unique()}
            excerpts = [
                noise.draw(noises[noises["split"] == split], config.clip_seconds, count)
                for split, count in counts.items()
            ]
            silent = pd.concat(excerpts).assign(label=SILENCE)
        parts.append(_as_frequent(silent, parts[0], config))
    return pd.concat(parts, ignore_index=True)


def has_test(config: Config, table: pd.DataFrame) -> bool:
    """Whether a corpus gives a test split to a head that is fitted: by lists, by folders, by a table or as a fold."""
    given = table[table["label"].isin(config.words) & (table["corpus"] != "synthetic")]
    return config.split_rule != "official" or (given["split"] == "test").any()


def for_fitting(table: pd.DataFrame, keeps_test: bool) -> pd.DataFrame:
    """Put all recordings into training, but those of a test split that the corpus gives; each recording once.

    Args:
        table: A manifest, with or without `corpus`.
        keeps_test: From `has_test`. Synthetic words train, whatever their split.
    """
    of_test = (table["split"] == "test") & keeps_test
    if "corpus" in table:
        of_test &= table["corpus"] != "synthetic"
    table = table.assign(split=of_test.map({True: "test", False: "train"}))
    return table.drop_duplicates(["path", "start", "label"], ignore_index=True)


def unseen(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """List the recordings of words not trained on: `unseen_words`, or without `--unknown` all but the keywords."""
    others = table[~table["label"].isin({*config.words, SILENCE, BACKGROUND_NOISE})]
    return others[others["label"].isin(config.unseen_words)] if config.unknown else others


def _is_excluded(config: Config, others: pd.DataFrame) -> pd.Series:
    """Whether each recording is one of `unseen_words` and could get into training or validation."""
    # The synthetic corpus labels all other words _unknown_; the folder names the word.
    folders = others["path"].map(lambda path: Path(path).parent.name)
    words = others["label"].where((others["corpus"] != "synthetic") | (others["label"] != UNKNOWN), folders)
    # The random split is made later, so it could put any recording into training.
    return words.isin(config.unseen_words) & ((others["split"] != "test") | (config.split_rule == "random"))


def split_by_folds(config: Config, table: pd.DataFrame) -> tuple[Config, pd.DataFrame]:
    """Assign the speakers to folds, and with `--unknown` hold out a fold of the other words, unless some are given.

    Noise keeps its splits, which are segments of time. Synthetic voices are used for training only, so the folds
    measure real speech.
    """
    table = table[(table["corpus"] != "synthetic") | (table["split"] == "train")].reset_index(drop=True)
    recorded = (table["corpus"] != "synthetic") & (table["label"] != BACKGROUND_NOISE)
    table.loc[recorded, "split"] = splits.assign_folds(table[recorded], config.num_folds, config.fold)["split"]
    if config.unknown and not config.unseen_words:
        others = table["label"][recorded & ~table["label"].isin({*config.words, SILENCE, UNKNOWN})]
        if others.nunique() < config.num_folds:
            logger.info("%d other words, fewer than the folds: none is held out", others.nunique())
        else:
            held_out = others[splits.deal(others, config.num_folds) == config.fold]
            config = dataclasses.replace(config, unseen_words=tuple(sorted(held_out.unique())))
    return config, table


def with_recorded_share(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """Oversample recordings of real speech to `recorded_fraction` of training, next to a synthetic corpus.

    Each copy is augmented differently. Without oversampling, a few recordings among hundreds of synthetic clips have
    hardly any effect.
    """
    training = table["split"] == "train"
    synthetic = table["corpus"] == "synthetic"
    recorded = table[training & ~synthetic & (table["label"] != SILENCE)]
    num_wanted = round((training & synthetic).sum() * config.recorded_fraction / (1 - config.recorded_fraction))
    num_missing = num_wanted - len(recorded)
    if recorded.empty or num_missing <= 0:
        return table
    shuffled = recorded.sample(frac=1, random_state=0)
    repeated = shuffled.iloc[np.arange(num_missing) % len(shuffled)]
    logger.info("oversampled %d recordings to %.0f %% of training", len(recorded), 100 * config.recorded_fraction)
    return pd.concat([table, repeated], ignore_index=True)


def _word_frequency(keywords: pd.DataFrame, split: str, config: Config) -> int:
    """Return the average number of clips per keyword in a split, at least 1."""
    return max(1, round((keywords["split"] == split).sum() / len(config.words)))


def _as_frequent(rows: pd.DataFrame, keywords: pd.DataFrame, config: Config, ratio: float = 1.0) -> pd.DataFrame:
    """Sample rows of each split: at most its average number of clips per keyword, in training `ratio` times that."""
    drawn = []
    for split, part in rows.groupby("split", sort=True):
        count = round(_word_frequency(keywords, split, config) * (ratio if split == "train" else 1))
        drawn.append(part.sample(min(len(part), max(1, count)), random_state=0))
    return pd.concat(drawn)


def split_at_random(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Split 81 / 9 / 10 % at random, ignoring speakers, as in the report."""
    from sklearn.model_selection import train_test_split  # slow to import, and `check` runs before all that is slow

    rest, test = train_test_split(np.arange(len(table)), test_size=0.1, random_state=seed)
    _, validation = train_test_split(rest, test_size=0.1, random_state=seed)
    split = np.full(len(table), "train", object)
    split[test], split[validation] = "test", "validation"
    return table.assign(split=split)

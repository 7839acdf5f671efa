"""Which recordings of the corpora a model learns from: their classes, their splits, and how many of each."""

import dataclasses
import itertools
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from common import config as configs
from common import corpora
from common.corpora import noise, splits
from common.corpora.speech_commands import BACKGROUND_NOISE
from common.errors import UserError, nearest
from kws.config import COMMAND_WORDS, SILENCE, TASK, UNKNOWN, Config

_SPEECH_CUT = 1.5  # clips


def index(config: Config, download: bool) -> list[pd.DataFrame]:
    """List the recordings of each of a configuration's corpora, with a column `corpus`.

    Raises:
        UserError: A folder is not named, missing or empty, or a corpus cannot be downloaded.
    """
    names = config.corpus.split(",")
    options = {
        "words": config.words or (COMMAND_WORDS if names != ["folder"] else ()),
        "language": config.language,
        "num_clips_per_word": config.clips_per_word,
        "unknown": config.unknown,
        "silence": config.silence,
        "clip_seconds": config.clip_seconds,
        # A few recordings to add to synthetic speech are all for training; that has the other splits.
        "draw_missing": "synthetic" not in names,
    }
    return [
        corpora.index(TASK, name, folder, download=download, **options).assign(corpus=name)
        for name, folder in zip(names, folders_of(config.data_dir, names), strict=True)
    ]


def folders_of(data_dir: str, names: Sequence[str]) -> list[str]:
    """Return the folder of each corpus; a comma in `--data_dir` divides two folders, or belongs to the name of one.

    Args:
        data_dir: The folders, separated by commas; empty for the usual ones.
        names: The corpora.

    Raises:
        UserError: There are more or fewer folders than corpora.
    """
    if not data_dir or len(names) == 1:
        return [data_dir] * len(names)
    parts = data_dir.split(",")
    groupings = [
        [",".join(parts[first:last]) for first, last in itertools.pairwise((0, *cuts, len(parts)))]
        for cuts in itertools.combinations(range(1, len(parts)), len(names) - 1)
    ]
    for folders in groupings:
        folders = [configs.expanded(folder) for folder in folders]
        # Synthetic speech is made where there is no folder yet.
        if all(
            name == "synthetic" or not folder or os.path.isdir(folder)
            for name, folder in zip(names, folders, strict=True)
        ):
            return folders
    if len(parts) != len(names):
        raise UserError(f"--data_dir: expected {len(names)} folders, one for each corpus, got {len(parts)}")
    return [configs.expanded(part) for part in parts]


def default_words(config: Config, table: pd.DataFrame) -> tuple[str, ...]:
    """Return the keywords where none are named: every class of a folder, else the ten command words."""
    if config.corpus in ("folder", "clusters"):
        return tuple(sorted(set(table["label"]) - {SILENCE, UNKNOWN, BACKGROUND_NOISE}))
    return COMMAND_WORDS


def noise_of(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """List recordings of background noise: of `--noise_dir`, else of the corpus."""
    if config.noise_dir:
        return noise.index(config.noise_dir)
    return noise.measured(table[table["label"].isin([BACKGROUND_NOISE, SILENCE])], config.data_dir or config.corpus)


def check_words(config: Config, table: pd.DataFrame, trained: bool) -> None:
    """Raise a UserError where a word has no recordings, or a trained model could not answer a class; see `data.load_corpus`."""
    if len(config.labels) < 2:
        raise UserError(
            f'the only class is "{config.labels[0]}"; a classifier needs at least two: add recordings of another word, or'
            " --unknown with a folder of other words, or --silence with noise"
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
            f'{where} holds the class "{others[0]}", which the model does not know (its labels: {", ".join(config.labels)});'
            " take that folder out, or train with --unknown"
        )


def labelled(config: Config, table: pd.DataFrame, noises: pd.DataFrame) -> pd.DataFrame:
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
    speech = noise.index(config.speech_dir, "--speech_dir")
    # A cut is later reduced to its loudest clip, so pauses drop out.
    cuts = noise.excerpts(speech, _SPEECH_CUT * config.clip_seconds).assign(
        label=UNKNOWN, split="train", corpus="speech"
    )
    return cuts.sample(min(len(cuts), max(0, num_cuts)), random_state=0)


def unseen(config: Config, table: pd.DataFrame) -> pd.DataFrame:
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


def split_by_folds(config: Config, table: pd.DataFrame) -> tuple[Config, pd.DataFrame]:
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


def with_recorded_share(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """Repeat recordings of people in training until they are the share of it that they are to be beside synthetic ones.

    Every repetition is augmented in another way; without any, five recordings among 800 synthetic ones are not heard.
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
    logging.info("%d recordings are repeated to be %.0f %% of training", len(recorded), 100 * config.recorded_fraction)
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


def split_at_random(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Split 81 / 9 / 10 % without regard to speakers, as the report does."""
    rest, test = train_test_split(np.arange(len(table)), test_size=0.1, random_state=seed)
    _, validation = train_test_split(rest, test_size=0.1, random_state=seed)
    split = np.full(len(table), "train", object)
    split[test], split[validation] = "test", "validation"
    return table.assign(split=split)

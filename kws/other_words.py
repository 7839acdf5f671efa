"""Other words than the keywords, beside a corpus that has none: excerpts of speech, and synthetic words like the keywords.

Both become the class `_unknown_`.
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from common import config as configs
from common.corpora import manifest, noise, splits, synthetic_words
from common.errors import UserError
from kws.config import UNKNOWN, Config

SPEECH, NEAR = "speech", "near"  # in the column `corpus`
_EXCERPT_CLIPS = 1.5
_MAX_EXCERPTS = 4000
# A longer recording, such as a broadcast, is divided in time, so that a folder of a few of them has all splits.
_DIVIDED_SECONDS = 300.0
_SHORTEST_DIVIDED_CLIPS = 30
_SHARES = (("train", 0.0, 0.8), ("validation", 0.8, 0.9), ("test", 0.9, 1.0))
# Clips of a synthetic keyword per clip of synthetic other words: there are few keywords and many other words.
_KEYWORD_CLIPS, _FEWEST_CLIPS = 0.2, 3


def training_excerpts(config: Config, num_excerpts: int) -> pd.DataFrame:
    """Sample excerpts of all of `--speech_dir` for training, beside recordings of other words.

    Args:
        config: The configuration.
        num_excerpts: Number of excerpts; fewer if the speech is shorter.

    Raises:
        UserError: The folder is missing or has no readable audio.
    """
    found = _excerpts(config, noise.recordings(config.speech_dir, "--speech_dir")).assign(split="train")
    return found.sample(min(len(found), max(0, num_excerpts)), random_state=0)


def split_excerpts(config: Config, keywords: pd.DataFrame) -> pd.DataFrame:
    """Sample excerpts of `--speech_dir` for all splits: as many as keywords, in training as many as there are.

    Complete keywords are rare in running speech.

    Args:
        config: The configuration.
        keywords: Manifest of the keywords.

    Raises:
        UserError: The folder is missing or has no readable audio.
    """
    speech = noise.recordings(config.speech_dir, "--speech_dir")
    excerpts = _excerpts(config, split_speech(speech, configs.expanded(config.speech_dir), config.clip_seconds))
    sizes = {split: max(1, (keywords["split"] == split).sum()) for split in manifest.SPLITS} | {"train": _MAX_EXCERPTS}
    return pd.concat(
        part.sample(min(len(part), sizes[split]), random_state=0) for split, part in excerpts.groupby("split")
    )


def split_speech(speech: pd.DataFrame, root: str, clip_seconds: float) -> pd.DataFrame:
    """Split recordings of speech: whole by the hash of their paths, long ones in time.

    More recordings do not move others, once there are three.

    Args:
        speech: A manifest with durations.
        root: The folder that the hashed paths are relative to.
        clip_seconds: Length of a clip in seconds.

    Returns:
        The manifest with splits; a long recording has one row per split, with a gap between them.
    """
    is_few = len(speech) < len(manifest.SPLITS)
    is_long = speech["duration"] >= (_SHORTEST_DIVIDED_CLIPS * clip_seconds if is_few else _DIVIDED_SECONDS)
    whole = speech[~is_long].assign(split="", label=UNKNOWN)
    whole = whole.assign(split="train") if len(whole) < len(manifest.SPLITS) else splits.assign(whole, Path(root))
    gap = _EXCERPT_CLIPS * clip_seconds
    parts = [
        {
            **row,
            "split": split,
            "start": row["start"] + begin * row["duration"] + (gap if begin else 0),
            "duration": (end - begin) * row["duration"] - (gap if begin else 0),
        }
        for row in speech[is_long].to_dict("records")
        for split, begin, end in _SHARES
    ]
    return manifest.from_rows(whole.to_dict("records") + parts)


def _excerpts(config: Config, speech: pd.DataFrame) -> pd.DataFrame:
    # Each excerpt is later cropped to its loudest clip, which avoids pauses.
    return noise.excerpts(speech, _EXCERPT_CLIPS * config.clip_seconds).assign(label=UNKNOWN, corpus=SPEECH)


def balanced(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """Repeat training rows until `_unknown_`, if made of speech alone, has its `unknown_ratio`.

    An hour of speech has thousands of excerpts, and the keywords may be few. Dropping excerpts would leave little to
    learn from, so the rarer side is repeated; each copy is augmented differently.
    """
    training = table["split"] == "train"
    unknown = table[training & (table["label"] == UNKNOWN)]
    keywords = table[training & table["label"].isin(config.words)]
    if unknown.empty or keywords.empty or (unknown["corpus"] != SPEECH).any():
        return table
    ratio = (config.unknown_ratio or len(config.words)) / len(config.words)
    missing_unknown = round(ratio * len(keywords)) - len(unknown)
    missing_keywords = round(len(unknown) / ratio) - len(keywords)
    return pd.concat(
        [table, _repeated(unknown, missing_unknown), _repeated(keywords, missing_keywords)], ignore_index=True
    )


def with_near_words(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """Add synthetic words that sound like the keywords to `_unknown_` in training, and synthetic keywords.

    The fraction `near_fraction` of both is synthetic, so that the voice does not tell them apart. Without espeak-ng,
    or if it cannot speak a word, nothing is added, and the log says why.
    """
    training = table["split"] == "train"
    unknown = training & (table["label"] == UNKNOWN)
    keywords = training & table["label"].isin(config.words)
    if not config.near_fraction or not unknown.any() or "synthetic" in config.corpus.split(","):
        return table
    labels = {word.replace("_", " "): word for word in config.words}
    try:
        found = synthetic_words.index(
            synthetic_words.FOLDER,
            tuple(labels),
            config.language,
            max(_FEWEST_CLIPS, round(_KEYWORD_CLIPS * config.clips_per_word)),
            unknown=True,
            num_unknown_clips=config.clips_per_word,
        )
    except UserError as error:
        logging.info("no synthetic words like the keywords are added: %s", error)
        return table
    found = found[found["split"] == "train"].assign(corpus=NEAR)
    found = found.assign(label=found["label"].replace(labels))
    odds = config.near_fraction / (1 - config.near_fraction)
    near, spoken = found[found["label"] == UNKNOWN], found[found["label"] != UNKNOWN]
    added = [_repeated(near, round(odds * unknown.sum())), _repeated(spoken, round(odds * keywords.sum()))]
    logging.info("%d synthetic words like the keywords and %d synthetic keywords added", *map(len, added))
    return pd.concat([table, *added], ignore_index=True)


def _repeated(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Sample rows, all of them equally often as far as possible."""
    shuffled = rows.sample(frac=1, random_state=0)
    return shuffled.iloc[np.arange(max(0, count)) % max(1, len(rows))]

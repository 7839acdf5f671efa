"""Other words than the keywords, beside a corpus that has none: excerpts of speech, and synthetic words like the keywords.

Both become the class `_unknown_`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from common import config as configs
from common.corpora import manifest, natural_voices, noise, splits, synthetic_words
from common.errors import UserError
from common.log import logger
from kws.config import UNKNOWN, Config

SPEECH, NEAR = "speech", "near"  # in the column `corpus`
_EXCERPT_CLIPS = 1.5
_MAX_EXCERPTS = 4000
# A longer recording, such as a broadcast, is divided in time, so that a folder of a few of them has all splits.
_DIVIDED_SECONDS = 300.0
_SHORTEST_DIVIDED_CLIPS = 30
_SHARES = (("train", 0.0, 0.8), ("validation", 0.8, 0.9), ("test", 0.9, 1.0))


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


def completed(config: Config, table: pd.DataFrame) -> pd.DataFrame:
    """Balance training, and add synthetic words, where `_unknown_` is made of speech alone.

    An hour of speech has thousands of excerpts, and the keywords may be few. Dropping excerpts would leave little to
    learn from, so the rarer side is repeated until `unknown_ratio` holds; each copy is augmented differently.

    The fraction `near_fraction` of the keywords and of the other words is synthetic, so that the voice does not tell
    them apart. Many of the other words sound like a keyword. Without espeak-ng, or if it cannot speak a keyword, none
    are added, and the log says why.

    Args:
        config: The configuration, with `words` filled in.
        table: Manifest of all splits, after splitting.
    """
    training = table["split"] == "train"
    unknown = table[training & (table["label"] == UNKNOWN)]
    keywords = table[training & table["label"].isin(config.words)]
    if unknown.empty or keywords.empty or (unknown["corpus"] != SPEECH).any():
        return table
    ratio = (config.unknown_ratio or len(config.words)) / len(config.words)
    num_unknown = max(len(unknown), round(ratio * len(keywords)))
    num_keywords = max(len(keywords), round(len(unknown) / ratio))
    added = [_repeated(unknown, num_unknown - len(unknown)), _repeated(keywords, num_keywords - len(keywords))]
    if config.near_fraction:
        synthetic = _synthetic(config)
        is_near = synthetic["label"] == UNKNOWN
        odds = config.near_fraction / (1 - config.near_fraction)
        added.append(_repeated(synthetic[is_near], round(odds * num_unknown)))
        added.append(_repeated(synthetic[~is_near], round(odds * num_keywords)))
    return pd.concat([table, *added], ignore_index=True)


def _synthetic(config: Config) -> pd.DataFrame:
    """List synthetic keywords and other words for training; empty if espeak-ng cannot speak them."""
    labels = {word.replace("_", " "): word for word in config.words}
    try:
        found = synthetic_words.index(
            synthetic_words.FOLDER,
            tuple(labels),
            config.language,
            config.clips_per_word,
            unknown=True,
            synthesizers=natural_voices.Choice(config.synthesizers, config.kokoro_dir),
        )
    except UserError as error:
        logger.info("no synthetic words like the keywords are added: %s", error)
        return manifest.from_rows([])
    logger.info("synthetic words like the keywords are added, spoken as --language=%s", config.language)
    found = found[found["split"] == "train"]
    return found.assign(label=found["label"].replace(labels), corpus=NEAR)


def _repeated(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Sample `count` rows, all of them equally often as far as possible; none of an empty table."""
    shuffled = rows.sample(frac=1, random_state=0)
    return shuffled.iloc[np.arange(count if len(rows) else 0) % max(1, len(rows))]

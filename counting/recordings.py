"""Which recordings a configuration mixes, and whether a training can use them; does not need TensorFlow."""

import dataclasses

import pandas as pd

from common import config as configs
from common import corpora
from common.corpora import manifest
from common.encoders.config import check_embedding
from common.errors import UserError
from common.log import logger
from counting.config import PREPARED, TASK, Config


def index(config: Config, *, download: bool = False) -> pd.DataFrame:
    """List the recordings of a configuration's corpus.

    Raises:
        UserError: A folder is missing or has no recordings, or the corpus cannot be downloaded.
    """
    return corpora.index(
        TASK,
        config.corpus,
        config.data_dir,
        download=download,
        subsets=config.subsets,
        language=config.language,
        num_speakers=config.num_voices,
        utterances_per_speaker=config.utterances_per_voice,
        clip_seconds=config.clip_seconds,
        sexes_needed=config.head == "sex",
    )


def check(config: Config, *, download: bool = False) -> None:
    """Check before anything is decoded that a training can use the recordings.

    Raises:
        UserError: As for `index`; or a split has too few speakers, or the sex of a speaker is needed and unknown.
    """
    check_embedding(config)
    table = index(config, download=download)
    for split in manifest.SPLITS:
        rows = manifest.select(table, split)
        if config.corpus != PREPARED:
            _check_speakers(config, rows, split)


def _check_speakers(config: Config, rows: pd.DataFrame, split: str) -> None:
    number = rows["speaker"].replace("", float("nan")).nunique()
    if number < config.max_speakers:
        raise UserError(
            f"the {split} split has {number} speakers, expected at least --max_speakers={config.max_speakers}; add"
            " recordings of others, or reduce --max_speakers"
        )
    unknown = rows.loc[rows["sex"] == "", "speaker"].unique()
    if config.head == "sex" and len(unknown):
        raise UserError(
            f"--head=sex needs the sex of every speaker, but that of {unknown[0]} is unknown ({len(unknown)} of {number} in"
            f" {split}); add it to speakers.csv (or SPEAKERS.TXT), or use --head=class"
        )


def with_head(config: Config, table: pd.DataFrame) -> Config:
    """Replace `--head=auto` by `sex` if the sex of every speaker is known, else by `class`, with a line that says so.

    Args:
        config: The configuration.
        table: From `index`.
    """
    if config.head != configs.AUTO:
        return config
    is_prepared = config.corpus == PREPARED
    unknown = table["label"].str.contains("?", regex=False) if is_prepared else table["sex"] == ""
    if unknown.any():
        logger.info(
            "--head=class: the sex of %s is unknown, so the model counts speakers only",
            "every speaker" if unknown.all() else "some speakers",
        )
    return dataclasses.replace(config, head="class" if unknown.any() else "sex")

"""A trained configuration for evaluation: another corpus or folder, without folders that are gone."""

import dataclasses
import os
from typing import Any

from common.config import ConfigType
from common.log import logger


def with_corpus(config: ConfigType, corpus: str | None, data_dir: str | None, **others: Any) -> ConfigType:
    """Return a configuration for evaluation on another corpus or folder.

    The training corpus keeps its splits wherever it is stored now; otherwise the test split could hold training tracks.

    Evaluation needs no folder of noise or speech of the training: those that no longer exist are left out.

    Args:
        config: The configuration of the training.
        corpus: Name of a corpus; None for the training corpus.
        data_dir: Its folder; None for the folder of the training, or the default folder of another corpus.
        **others: Values for another corpus of the fields that describe the training corpus.
    """
    config = _without_missing(config)
    if corpus in (None, config.corpus):
        return dataclasses.replace(config, data_dir=data_dir or config.data_dir)
    return dataclasses.replace(config, corpus=corpus, data_dir=data_dir or "", **others)


def _without_missing(config: ConfigType) -> ConfigType:
    """Return a trained configuration without the additional folders of its training that no longer exist."""
    names = [item.name for item in dataclasses.fields(config) if item.name.endswith("_dir") and item.name != "data_dir"]
    gone = [name for name in names if getattr(config, name) and not os.path.isdir(getattr(config, name))]
    for name in gone:
        logger.warning("--%s of the training: %s no longer exists and is left out", name, getattr(config, name))
    return dataclasses.replace(config, **dict.fromkeys(gone, ""))

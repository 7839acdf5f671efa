"""GTZAN: a thousand excerpts of 30 s in ten genres, 22,050 Hz mono.

    genres/<genre>/<genre>.<nnnnn>.wav      also .au, as it was first given out; genres_original as Kaggle names it

Source: G. Tzanetakis, P. Cook, "Musical genre classification of audio signals", IEEE TSAP 2002. It has no official split.
B. L. Sturm, "The GTZAN dataset: its contents, its faults" (2013, arXiv 1306.1461) lists excerpts that repeat each other or
are distorted; `jazz.00054` cannot be read in the copy that most people have. What cannot be read is listed as rejected.
"""

import logging
from pathlib import Path

import pandas as pd

from common.audio import listing
from common.corpora import music_folder
from common.errors import UserError

LAYOUT = "genres/<genre>/<genre>.<nnnnn>.wav"
_FOLDERS = ("genres", "genres_original")
_BROKEN = {"jazz.00054": "cannot be read in the usual copy"}


def index(root: str | Path) -> pd.DataFrame:
    """List the excerpts, a row each.

    Returns:
        A manifest (`common.corpora.manifest`): the excerpt is the `track`, the genre its `label`.

    Raises:
        UserError: The folder is missing, or laid out otherwise.
    """
    root = Path(root).absolute()
    home = next((root / name for name in _FOLDERS if (root / name).is_dir()), root)
    if not listing.folders(home):
        raise UserError(f"{root} holds no genres; expected GTZAN laid out as {LAYOUT}")
    table = music_folder.index(home)
    for name, fault in _BROKEN.items():
        if table["track"].str.endswith(f"/{name}").any():
            logging.warning("%s: %s %s", root, name, fault)
    return table

"""GTZAN: a thousand excerpts of 30 s in ten genres, 22,050 Hz mono.

    genres/<genre>/<genre>.<nnnnn>.wav      also .au, the original release; genres_original in the Kaggle copy

Source: G. Tzanetakis, P. Cook, "Musical genre classification of audio signals", IEEE TSAP 2002. It has no official
split. B. L. Sturm, "The GTZAN dataset: its contents, its faults" (2013, arXiv 1306.1461) lists repeated and distorted
excerpts. `jazz.00054` is unreadable in the most common copy. Unreadable files are listed as rejected.
"""

from pathlib import Path

import pandas as pd

from common.audio import listing
from common.corpora import music_folder
from common.errors import UserError
from common.log import logger

LAYOUT = "genres/<genre>/<genre>.<nnnnn>.wav"
_FOLDERS = ("genres", "genres_original")
_BROKEN = {"jazz.00054": "is unreadable in the most common copy"}


def index(root: str | Path) -> pd.DataFrame:
    """List the excerpts, one row each.

    Returns:
        A manifest (`common.corpora.manifest`): `track` is the excerpt and `label` the genre.

    Raises:
        UserError: The folder is missing or has another layout.
    """
    root = Path(root).absolute()
    home = next((root / name for name in _FOLDERS if (root / name).is_dir()), root)
    if not listing.folders(home):
        raise UserError(f"{root} has no genre folders; expected GTZAN laid out as {LAYOUT}")
    table = music_folder.index(home)
    for name, fault in _BROKEN.items():
        if table["track"].str.endswith(f"/{name}").any():
            logger.warning("%s: %s %s", root, name, fault)
    return table

"""MUSDB18-HQ: 150 songs with vocals, drums, bass and other, in stereo at 44.1 kHz.

    train/<artist> - <title>/{mixture,vocals,drums,bass,other}.wav    100 songs, 14 of them for validation
    test/<artist> - <title>/…                                         50 songs

Source: Z. Rafii, A. Liutkus, F.-R. Stöter, S. I. Mimilakis, R. Bittner, "MUSDB18-HQ: an uncompressed version of
MUSDB18", 2019, https://doi.org/10.5281/zenodo.3338373. Access is on request, so this module has no download. The validation
songs are those of the `musdb` package (mus.yaml).
"""

from pathlib import Path

import pandas as pd

from common.corpora import track_folders
from common.errors import UserError

STEMS = ("vocals", "drums", "bass", "other")
LAYOUT = "train/<track>/{mixture,vocals,drums,bass,other}.wav and test/<track>/…"
VALIDATION_TRACKS = (
    "ANiMAL - Rockshow",
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
)


def index(root: str | Path) -> pd.DataFrame:
    """List the stems with the official split.

    If a partial copy of the corpus lacks a split, songs for it are taken from `train`.

    Returns:
        A manifest (`common.corpora.manifest`) with one row per stem.

    Raises:
        UserError: The folder is missing or has another layout.
    """
    root = Path(root).absolute()
    if not (root / "train").is_dir() and not (root / "test").is_dir():
        raise UserError(f"{root} has neither train nor test; expected MUSDB18-HQ laid out as {LAYOUT}")
    return track_folders.index(root, VALIDATION_TRACKS)

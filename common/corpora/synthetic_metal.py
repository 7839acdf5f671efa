"""Synthetic instrumental metal, for training music generators. See `common.corpora.synthetic_songs`."""

from pathlib import Path

import pandas as pd

from common.corpora import synthetic_songs
from common.corpora.stem_names import MIXTURE
from common.synthesis.music.score import Settings

FOLDER = synthetic_songs.FOLDER


def index(root: str | Path, num_songs: int = 40, seconds: float = 12.0, sample_rate: int = 16000) -> pd.DataFrame:
    """Generate the missing songs and list the mixtures.

    Args:
        root: Folder for songs; created if missing.
        num_songs: Number of songs, at least 3.
        seconds: Length of each song, at least 2.
        sample_rate: Sample rate in Hz, at least 8000.

    Returns:
        A manifest (see `common.corpora.manifest`) with one row per song; the label is the genre.

    Raises:
        UserError: A setting is out of range, or the folder cannot be written to.
    """
    settings = Settings(Path(root), "metal", "en", float(seconds), sample_rate, num_channels=1, seed=0)
    songs = synthetic_songs.make(settings, num_songs)
    return songs[songs["stem"] == MIXTURE].assign(label="metal")

"""Which tracks a configuration uses, and whether a training can use them; does not need TensorFlow."""

from pathlib import Path

import pandas as pd

from common import audio, corpora
from common.corpora import manifest, music_folder, splits
from common.data import decoded
from common.errors import UserError, nearest
from generation.config import TASK, Config

# Headers that `check` reads of each split.
_MAX_HEADERS = 100
# Formats whose header gives no exact length: they would have to be decoded.
_WITHOUT_LENGTH = (".m4a", ".mp4", ".aac", ".wma", ".webm", ".mka")


def index(config: Config, *, download: bool = False) -> pd.DataFrame:
    """List the tracks of a configuration's corpus and genres, with the splits of its `split_rule` if that is `folds`.

    Raises:
        UserError: The folder is missing, has no music or none of a genre, or the download fails.
    """
    songs = {"num_songs": config.num_songs, "seconds": config.song_seconds, "sample_rate": config.sample_rate}
    table = corpora.index(TASK, config.corpus, config.data_dir, download=download, **songs)
    table = _of_genres(table, config.genre)
    if config.genre and set(table["split"]) != {*manifest.SPLITS}:
        # All tracks of the genre may be in the same split of the folder.
        table = music_folder.fill_splits(table, Path(config.data_dir))
    if config.split_rule == "folds":
        assigned = splits.assign_folds(
            table.assign(speaker=music_folder.songs_of(table)), config.num_folds, config.fold
        )
        table = assigned.assign(speaker=table["speaker"])
    return table


def _of_genres(table: pd.DataFrame, genres: tuple[str, ...]) -> pd.DataFrame:
    found = sorted(set(table["label"]) - {""})
    for genre in genres:
        if genre not in found:
            raise UserError(
                f"--genre: there is no {genre!r}, only {', '.join(found) or 'tracks without a genre'}."
                f"{nearest(genre, found)}"
            )
    return table[table["label"].isin(genres)].reset_index(drop=True) if genres else table


def check(config: Config, *, download: bool = False) -> None:
    """Check before anything is decoded that a training can use the tracks.

    Raises:
        UserError: As for `index`; or a split has no tracks, or too many of them are shorter than an excerpt.
    """
    table = index(config, download=download)
    for split in manifest.SPLITS:
        _check_lengths(config, manifest.select(table, split))


def _check_lengths(config: Config, rows: pd.DataFrame) -> None:
    """Refuse if the headers of the first tracks tell that too many tracks are too short; decoding finds the others."""
    short = []
    for path in rows["path"].iloc[:_MAX_HEADERS]:
        if path.lower().endswith(_WITHOUT_LENGTH):
            continue
        try:
            # Resampling may change the length by a few samples.
            if audio.info(path).duration_seconds < config.clip_seconds - 0.01:
                short.append((path, f"{path} is shorter than an excerpt of {config.clip_seconds:g} s"))
        except UserError:
            continue
    if len(short) == len(rows) or manifest.too_many(len(short), len(rows), config.max_rejected):
        decoded.check_rejected(
            pd.DataFrame(short, columns=["path", "reason"]), len(rows), config.max_rejected, "tracks"
        )

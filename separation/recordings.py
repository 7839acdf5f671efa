"""Which tracks a configuration uses, and whether a training can use them; does not need TensorFlow."""

import pandas as pd

from common import corpora
from common.corpora import manifest, splits
from common.corpora.tracks import ACCOMPANIMENT, MIXTURE
from common.data import decoded
from separation.config import TASK, Config


def index(config: Config, *, download: bool = False) -> pd.DataFrame:
    """List the stems of a configuration's corpus, with the splits of its `split_rule` if that is `folds`.

    Raises:
        UserError: The folder is missing or has no tracks, or the download fails.
    """
    # A sample rate or number of channels of 0 means that of the corpus.
    own = {"sample_rate": config.sample_rate, "channels": config.num_channels}
    wanted = {name: value for name, value in own.items() if value}
    songs = {"num_songs": config.num_songs, "seconds": config.song_seconds}
    table = corpora.index(TASK, config.corpus, config.data_dir, download=download, **songs, **wanted)
    if config.split_rule == "folds":
        table = splits.assign_folds(table.assign(speaker=groups_of(table)), config.num_folds, config.fold)
    return table


def groups_of(table: pd.DataFrame) -> pd.Series:
    """Return the group of each row, which no split divides: the singer if known, else the track."""
    return table["speaker"].where(table["speaker"] != "", table["track"])


def check(config: Config, *, download: bool = False) -> None:
    """Check before anything is decoded that a training can use the tracks.

    Raises:
        UserError: As for `index`; or a split has no tracks, or too many tracks lack a stem of `--stems`.
    """
    table = index(config, download=download)
    if config.split_rule == "random":
        _check_stems(config, table)
        return
    for split in manifest.SPLITS:
        _check_stems(config, manifest.select(table, split))


def _check_stems(config: Config, rows: pd.DataFrame) -> None:
    """Check the stems that are files; the accompaniment and the mixture may be made of others."""
    wanted = [stem for stem in config.stems if stem not in (ACCOMPANIMENT, MIXTURE)]
    tracks = dict(list(rows.groupby("track", sort=True)))
    without = []
    for name, stems in tracks.items():
        missing = [stem for stem in wanted if stem not in set(stems["stem"])]
        if missing:
            had = ", ".join(stems["stem"])
            reason = f"{name} has no stem {missing[0]!r} (it has {had}); choose others by --stems"
            without.append((stems["path"].iloc[0], reason))
    decoded.check_rejected(
        pd.DataFrame(without, columns=["path", "reason"]), len(tracks), config.max_rejected, "tracks"
    )

"""Any folder of music: recordings at any depth; the parent folder of a recording is its genre.

    metal/one.wav, rock/two.mp3         genres metal and rock
    one.wav, two.wav                    no genre
    metal/one/{vocals,drums}.wav        parts of one song, like `one (vocals).wav` and `one_drums.wav`
    train/metal/…, test/metal/…         splits (`layouts.SPLIT_NAMES`)

Without split folders, songs are split by a hash of their names. All parts of a song are in the same split.
"""

from pathlib import Path

import pandas as pd

from common.audio import formats, listing
from common.corpora import layouts, manifest, splits, stem_names
from common.errors import UserError
from common.files.names import plain_name
from common.log import logger

_NUMBERS = {1: "one", 2: "two", 3: "three"}
LAYOUT = "recordings of music, in folders of genres if there are several"


def index(root: str | Path) -> pd.DataFrame:
    """List the recordings, one row each.

    Returns:
        A manifest (`common.corpora.manifest`): `track` is the path below the root without its suffix, `label` is the
        genre and `stem` is `mixture`.

    Raises:
        UserError: The folder is missing, or has fewer songs than splits.
        UserError: The folders look like folds, or the split folders are one level deeper.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; expected {LAYOUT}")
    found = listing.find(root)
    found.tell()
    if not found.files:
        raise UserError(f"{root} has no recordings ({formats.USUAL_SUFFIXES})")
    files, num_copies = listing.one_a_name(found)
    if num_copies:
        logger.warning("%s: left out %d recordings that also exist in another format", root, num_copies)
    folders = [found.parts(path)[:-1] for path in files]
    layouts.refuse_splits_and_folds(root, {parts[0] if parts else "" for parts in folders}, LAYOUT)
    layouts.refuse_one_too_high(root, folders, LAYOUT)
    table = manifest.from_rows(_row(found, path) for path in files)
    return fill_splits(table, root)


def fill_splits(table: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Fill the splits that a manifest lacks, by songs; see `common.corpora.splits.assign`.

    The split ignores the genre, so that a genre may have a single track.

    Raises:
        UserError: There are fewer songs than splits.
    """
    songs = songs_of(table)
    _check_counts(root, table, songs)
    divided = splits.assign(table.assign(label="", speaker=songs), root)
    return divided.assign(label=table["label"], speaker=table["speaker"])


def songs_of(table: pd.DataFrame) -> pd.Series:
    """Return the song that each row of a manifest belongs to; see `common.corpora.stem_names.song_of`."""
    return table["track"].map(stem_names.song_of)


def _row(found: listing.Listing, path: Path) -> dict:
    folders, name = found.parts(path)[:-1], plain_name(path.stem)
    split = layouts.split_of(folders[0]) if folders else ""
    inner = folders[1:] if split else folders
    # The folder of a song that is stored in parts is not a genre.
    if stem_names.is_part(name) and len(inner) > 1:
        inner = inner[:-1]
    return {
        "path": path,
        "track": "/".join([*folders, name]),
        "label": inner[-1] if inner else "",
        "split": split,
        "stem": stem_names.MIXTURE,
    }


def _check_counts(root: Path, table: pd.DataFrame, songs: pd.Series) -> None:
    """Check that there is a song for each split that `splits.assign` has to fill."""
    given = set(table["split"]) - {""}
    wanted = [split for split in manifest.SPLITS if split not in given or split == "train"]
    if given and "train" not in given:
        return
    num_songs = songs[table["split"].isin(["", "train"])].nunique()
    if num_songs < len(wanted):
        num_tracks = int(table["split"].isin(["", "train"]).sum())
        found = f"{num_tracks} track{'s' * (num_tracks != 1)}"
        found += f" of {num_songs} song{'s' * (num_songs != 1)}" if num_songs < num_tracks else ""
        raise UserError(
            f"{root} has {found}; expected at least {_NUMBERS[len(wanted)]}, one"
            f" song each for {', '.join(wanted)}: cut a long recording into several files, or add songs"
        )

"""The manifest: a table with one row per excerpt of a corpus.

| column | meaning |
|---|---|
| `path` | absolute path of the audio file |
| `start`, `duration` | the excerpt in seconds; a duration of NaN means to the end of the file |
| `split` | `train`, `validation` or `test` |
| `label` | the class name of the corpus, or empty |
| `speaker` | the speaker, or empty; no speaker is in two splits |
| `sex` | `F`, `M` or empty |
| `track` | the piece of music, or empty; no track is in two splits |
| `stem` | the part of the track (`vocals`, `drums`, … or `mixture`), or empty |
| `channel` | the channel of the file to read, from 0; -1 for all channels |

Indexing lists files without opening them, so it is fast for any corpus size. Unreadable files are found and reported
when shards are written.
"""

import hashlib
import math
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from common import config as configs
from common.audio import formats, listing
from common.errors import UserError
from common.files import tables

COLUMNS = ("path", "start", "duration", "split", "label", "speaker", "sex", "track", "stem", "channel")
SPLITS = configs.SPLITS
# For a corpus without splits: percentage for validation, and the same for test.
HELD_OUT_PERCENT = 10.0

_DEFAULTS = {
    "start": 0.0,
    "duration": float("nan"),
    "split": "",
    "label": "",
    "speaker": "",
    "sex": "",
    "track": "",
    "stem": "",
    "channel": -1,
}
_TYPES = {"start": float, "duration": float, "channel": int}


def from_rows(rows: Iterable[dict]) -> pd.DataFrame:
    """Build a manifest, ordered by path and start, from dictionaries with at least `path`.

    Args:
        rows: One dictionary per excerpt; missing columns get the value for "unknown".

    Returns:
        A table with exactly `COLUMNS`.
    """
    table = pd.DataFrame([{**_DEFAULTS, **row, "path": str(row["path"])} for row in rows], columns=list(COLUMNS))
    table = table.astype(_TYPES)
    return table.sort_values(["path", "start"], kind="stable", ignore_index=True)


def recordings_below(root: Path, purpose: str) -> pd.DataFrame:
    """List the recordings in a folder of audio files at any depth, split by a hash of their names.

    Args:
        root: The folder.
        purpose: The option that the folder was given by, for messages, e.g. `--noise_dir`.

    Raises:
        UserError: The folder is missing or has no audio.
    """
    if not root.is_dir():
        raise UserError(f"{root} does not exist; {purpose} takes a folder of audio files")
    found = listing.find(root.absolute())
    found.tell()
    if not found.files:
        raise UserError(f"{root} has no audio files ({formats.USUAL_SUFFIXES}); {purpose} takes a folder of them")
    return from_rows({"path": path, "split": hash_split(path.stem)} for path in found.files)


def hash_split(key: str, validation_percent: float = HELD_OUT_PERCENT, test_percent: float = HELD_OUT_PERCENT) -> str:
    """Choose a split by the hash of a name; adding recordings to a corpus therefore does not move others.

    Args:
        key: The name of the group that must stay in one split: a speaker, a track, else the file name.
        validation_percent: Percentage of the names for `validation`.
        test_percent: Percentage of the names for `test`.

    Returns:
        One of `SPLITS`.
    """
    bucket = int.from_bytes(name_hash(key)[:8], "big") / 2**64 * 100
    if bucket < test_percent:
        return "test"
    return "validation" if bucket < test_percent + validation_percent else "train"


def name_hash(key: str) -> bytes:
    """Return the hash of a name, equal for composed and decomposed accents; undecodable bytes are allowed."""
    composed = unicodedata.normalize("NFC", key)
    try:
        content = composed.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        content = composed.encode(errors="surrogatepass")
    return hashlib.sha256(content).digest()


def too_many(num_rejected: int, num_all: int, max_rejected: float) -> bool:
    """Whether the number of rejected recordings exceeds the fraction `max_rejected`, rounded up.

    Example:
        >>> too_many(1, 14, 0.05), too_many(2, 14, 0.05), too_many(1, 14, 0.0)
        (False, True, True)
    """
    return num_rejected > math.ceil(max_rejected * num_all)


def select(manifest: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return the rows of one split, or all of them for `all`.

    Raises:
        UserError: The split has no rows, or its name is unknown.
    """
    if split == configs.ALL:
        return manifest
    if split not in SPLITS:
        raise UserError(f'unknown split "{split}"; expected one of {", ".join(SPLITS)}, all')
    rows = manifest[manifest["split"] == split].reset_index(drop=True)
    if rows.empty:
        counts = manifest["split"].value_counts().to_dict()
        raise UserError(
            f"the {split} split has no recordings (rows by split: {counts}); add some or choose another split"
        )
    return rows


def write(manifest: pd.DataFrame, path: str | Path) -> None:
    """Write a manifest as CSV, atomically."""
    tables.write(manifest, path)


def read(path: str | Path) -> pd.DataFrame:
    """Read a manifest written by `write`.

    Raises:
        UserError: The file is missing, is not CSV, or lacks a column.
    """
    text_columns = {name: str for name in COLUMNS if name not in _TYPES}
    try:
        table = tables.read(
            path,
            dtype=text_columns,
            keep_default_na=False,
            na_values={"duration": ""},
            encoding_errors="surrogateescape",
        )
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the manifest {path}: {error}; delete it to create it again") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise UserError(f"{path} lacks the manifest columns {', '.join(missing)}; delete it to create it again")
    try:
        return table[list(COLUMNS)].astype(_TYPES)
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"cannot read the manifest {path}: {error}; delete it to create it again") from error

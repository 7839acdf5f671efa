"""MIR-1K: a thousand karaoke clips by 19 amateur singers; accompaniment left, singing voice right, 16 kHz.

    Wavfile/<singer>_<song>_<clip>.wav

Source: C.-L. Hsu, J.-S. R. Jang, "On the improvement of singing voice separation for monaural recordings using the MIR-1K
dataset", IEEE TASLP 2010, https://sites.google.com/site/unvoicedsoundseparation/mir-1k. It has no official split.
Singers are split by a hash, so no singer is in two splits.
"""

from pathlib import Path

import pandas as pd

from common.audio import listing
from common.corpora import manifest, splits, track_folders
from common.errors import UserError
from common.files.names import plain_name

STEMS = ("vocals", "accompaniment")
LAYOUT = "Wavfile/<singer>_<song>_<clip>.wav"
_FOLDER = "Wavfile"
_CHANNELS = {"accompaniment": 0, "vocals": 1}


def index(root: str | Path) -> pd.DataFrame:
    """List the stems of all clips: two rows per clip, one per channel.

    Returns:
        A manifest (`common.corpora.manifest`); `speaker` is the singer and `track` the clip.

    Raises:
        UserError: The folder is missing or has another layout.
    """
    root = Path(root).absolute()
    home = root / _FOLDER if (root / _FOLDER).is_dir() else root
    paths = listing.find(home, depth=1).files if home.is_dir() else ()
    if not paths:
        raise UserError(f"{root} has no clips; expected MIR-1K laid out as {LAYOUT}")
    singers = {path: plain_name(path.stem).partition("_")[0] for path in paths}
    table = manifest.from_rows(
        {"path": path, "speaker": singer, "track": plain_name(path.stem), "stem": stem, "channel": channel}
        for path, singer in singers.items()
        for stem, channel in _CHANNELS.items()
    )
    return (
        splits.assign(table, root) if len(set(singers.values())) >= len(manifest.SPLITS) else track_folders.few(table)
    )

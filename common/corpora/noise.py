"""Background noise from whatever holds it: ESC-50's layout, or any folder of audio files."""

from pathlib import Path

import numpy as np
import pandas as pd

from common import audio
from common.corpora import esc50, manifest
from common.errors import UserError


def index(root: Path, clip_seconds: float) -> pd.DataFrame:
    """List excerpts of background noise.

    Args:
        root: A folder in the layout of ESC-50 (its folds become splits), or of audio files at any depth (split by a hash
            of their names).
        clip_seconds: Length of an excerpt in seconds.

    Returns:
        A manifest with consecutive excerpts of every file.

    Raises:
        UserError: The folder is missing or holds no audio.
    """
    if (root / "meta" / "esc50.csv").exists():
        return excerpts(esc50.index(root), clip_seconds)
    if not root.is_dir():
        raise UserError(f"{root} does not exist; --noise_dir takes a folder of audio files")
    paths = sorted(
        path for path in root.rglob("*") if path.suffix.lower() in manifest.AUDIO_SUFFIXES and path.is_file()
    )
    if not paths:
        raise UserError(
            f"{root} holds no audio files ({', '.join(manifest.AUDIO_SUFFIXES)}); --noise_dir takes a folder of them"
        )
    rows = [{"path": path.resolve(), "split": manifest.hash_split(path.stem)} for path in paths]
    return excerpts(manifest.from_rows(rows), clip_seconds)


def excerpts(rows: pd.DataFrame, clip_seconds: float) -> pd.DataFrame:
    """Cut the recordings of a manifest into consecutive excerpts.

    Args:
        rows: Recordings; a duration of NaN is read from the file's header.
        clip_seconds: Length of an excerpt in seconds; what is left at the end is dropped, but each readable recording
            gives at least one.

    Returns:
        A manifest with a row an excerpt; recordings that cannot be opened are left out.
    """
    cut = []
    for row in rows.to_dict("records"):
        duration = row["duration"]
        if np.isnan(duration):
            try:
                duration = audio.info(row["path"]).duration_seconds - row["start"]
            except UserError:
                continue
        for number in range(max(1, int(duration / clip_seconds))):
            cut.append({**row, "start": row["start"] + number * clip_seconds, "duration": min(clip_seconds, duration)})
    return manifest.from_rows(cut)

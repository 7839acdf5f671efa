"""Background noise from whatever holds it: ESC-50's layout, or any folder of audio files."""

from pathlib import Path

import numpy as np
import pandas as pd

from common import audio
from common.corpora import esc50, manifest
from common.errors import UserError


def index(root: Path) -> pd.DataFrame:
    """List recordings of background noise.

    Args:
        root: A folder in the layout of ESC-50 (its folds become splits), or of audio files at any depth (split by a hash
            of their names).

    Returns:
        A manifest with a row a recording and its duration; recordings that cannot be opened are left out.

    Raises:
        UserError: The folder is missing or holds no audio.
    """
    if (root / "meta" / "esc50.csv").exists():
        return measured(esc50.index(root))
    return measured(manifest.recordings_below(root, "--noise_dir"))


def measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Fill unknown durations in from the files' headers, and leave out what cannot be opened."""
    known = []
    for row in rows.to_dict("records"):
        if np.isnan(row["duration"]):
            try:
                row["duration"] = audio.info(row["path"]).duration_seconds - row["start"]
            except UserError:
                continue
        known.append(row)
    return manifest.from_rows(known)


def excerpts(rows: pd.DataFrame, clip_seconds: float) -> pd.DataFrame:
    """Cut recordings into consecutive excerpts.

    Args:
        rows: Recordings with their durations.
        clip_seconds: Length of an excerpt in seconds; what is left at the end is dropped, but each recording gives at
            least one excerpt.

    Returns:
        A manifest with a row an excerpt.
    """
    return manifest.from_rows(
        {**row, "start": row["start"] + number * clip_seconds, "duration": min(clip_seconds, row["duration"])}
        for row in rows.to_dict("records")
        for number in range(max(1, int(row["duration"] / clip_seconds)))
    )


def draw(rows: pd.DataFrame, clip_seconds: float, num_excerpts: int, seed: int = 0) -> pd.DataFrame:
    """Cut excerpts at random places, longer recordings giving more of them.

    Args:
        rows: Recordings with their durations; at least one.
        clip_seconds: Length of an excerpt in seconds, at most that of its recording.
        num_excerpts: How many to cut; they may overlap.
        seed: Decides the places.

    Returns:
        A manifest with a row an excerpt.
    """
    rng = np.random.default_rng(seed)
    records = rows.to_dict("records")
    weights = rows["duration"].to_numpy() / rows["duration"].sum()
    cut = []
    for index in rng.choice(len(records), num_excerpts, p=weights):
        record = records[index]
        start = record["start"] + rng.uniform(0, max(0.0, record["duration"] - clip_seconds))
        cut.append({**record, "start": start, "duration": min(clip_seconds, record["duration"])})
    return manifest.from_rows(cut)

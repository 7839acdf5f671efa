"""Background noise from ESC-50 or from any folder of audio files."""

from pathlib import Path

import numpy as np
import pandas as pd

from common import audio
from common import config as configs
from common.corpora import esc50, manifest
from common.errors import UserError
from common.log import logger


def index(root: str | Path, purpose: str = "--noise_dir") -> pd.DataFrame:
    """List recordings of background noise, or of another kind named by `purpose`.

    Args:
        root: A folder in the layout of ESC-50 (its folds become splits), or of audio files at any depth (split by a
            hash of their names; if no file is in `train`, all of them are).
        purpose: The option that the folder was given by, for messages.

    Returns:
        A manifest with one row per recording and its duration; unreadable recordings are left out and counted.

    Raises:
        UserError: The folder is missing or has no readable audio, or an ESC-50 folder has none for training.
    """
    known, reasons = _listed(root, purpose)
    if "train" not in set(known["split"]):
        if _is_esc50(root):
            raise UserError(f"{purpose}: {root} has no readable recordings for training; first error: {reasons[0]}")
        logger.info("%s: too few recordings to split; all are used for training", root)
        known = known.assign(split="train")
    return known


def recordings(root: str | Path, purpose: str) -> pd.DataFrame:
    """List recordings as `index` does, without filling an empty training split."""
    return _listed(root, purpose)[0]


def _is_esc50(root: str | Path) -> bool:
    return (Path(configs.expanded(str(root))) / "meta" / "esc50.csv").exists()


def _listed(root: str | Path, purpose: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the readable recordings of a folder with their durations, and the errors of the others."""
    root = Path(configs.expanded(str(root)))
    listed = esc50.index(root) if _is_esc50(root) else manifest.recordings_below(root, purpose)
    known, reasons = _measured(listed)
    if known.empty:
        raise UserError(
            f"{purpose}: none of the {len(listed)} recordings in {root} can be read; expected a folder of audio files;"
            f" first error: {reasons[0]}"
        )
    _tell(str(root), reasons)
    return known, reasons


def measured(rows: pd.DataFrame, where: str) -> pd.DataFrame:
    """Fill in unknown durations from the file headers, and leave out files that cannot be opened.

    Args:
        rows: A manifest.
        where: Source of the recordings, for messages; the log reports the number of files left out.

    Raises:
        UserError: There are recordings, and none can be opened.
    """
    known, reasons = _measured(rows)
    if known.empty and reasons:
        raise UserError(
            f"{where}: none of the {len(reasons)} recordings of background sound can be read; remove or replace them;"
            f" first error: {reasons[0]}"
        )
    _tell(where, reasons)
    return known


def _measured(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the readable rows with their durations, and the errors of the others."""
    known, reasons = [], []
    for row in rows.to_dict("records"):
        if np.isnan(row["duration"]):
            try:
                row["duration"] = audio.info(row["path"]).duration_seconds - row["start"]
                if row["duration"] <= 0:
                    raise audio.no_samples(str(row["path"]))
            except UserError as error:
                reasons.append(str(error))
                continue
        known.append(row)
    return manifest.from_rows(known), reasons


def _tell(where: str, reasons: list[str]) -> None:
    if reasons:
        logger.warning("%s: left out %d unreadable recordings; first error: %s", where, len(reasons), reasons[0])


def excerpts(rows: pd.DataFrame, clip_seconds: float) -> pd.DataFrame:
    """Cut recordings into consecutive excerpts.

    Args:
        rows: Recordings with their durations.
        clip_seconds: Length of an excerpt in seconds. The remainder at the end is dropped, but each recording gives at
            least one excerpt.

    Returns:
        A manifest with one row per excerpt.
    """
    return manifest.from_rows(
        {**row, "start": row["start"] + number * clip_seconds, "duration": min(clip_seconds, row["duration"])}
        for row in rows.to_dict("records")
        for number in range(max(1, int(row["duration"] / clip_seconds)))
    )


def draw(rows: pd.DataFrame, clip_seconds: float, num_excerpts: int, seed: int = 0) -> pd.DataFrame:
    """Cut excerpts at random positions; recordings are sampled in proportion to their length.

    Args:
        rows: Recordings with their durations; at least one.
        clip_seconds: Length of an excerpt in seconds; shorter recordings are used whole.
        num_excerpts: Number of excerpts; they may overlap.
        seed: Random seed.

    Returns:
        A manifest with one row per excerpt.
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

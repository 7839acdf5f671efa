"""Background noise from whatever holds it: ESC-50's layout, or any folder of audio files."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from common import audio
from common import config as configs
from common.corpora import esc50, manifest
from common.errors import UserError


def index(root: str | Path, purpose: str = "--noise_dir") -> pd.DataFrame:
    """List recordings of background noise, or whatever else a folder is named for.

    Args:
        root: A folder in the layout of ESC-50 (its folds become splits), or of audio files at any depth (split by a hash
            of their names; where that leaves none to train with, all train).
        purpose: What takes it, for messages.

    Returns:
        A manifest with a row a recording and its duration; recordings that cannot be opened are left out and counted.

    Raises:
        UserError: The folder is missing or holds no audio that can be read, or in ESC-50's layout none to train with.
    """
    root = Path(configs.expanded(str(root)))
    is_esc50 = (root / "meta" / "esc50.csv").exists()
    listed = esc50.index(root) if is_esc50 else manifest.recordings_below(root, purpose)
    known, reasons = _measured(listed)
    if known.empty:
        raise UserError(
            f"{purpose}: none of the {len(listed)} recordings in {root} can be read; expected a folder of audio files:"
            f" the first: {reasons[0]}"
        )
    _tell(str(root), reasons)
    if "train" not in set(known["split"]):
        if is_esc50:
            raise UserError(f"{purpose}: {root} has nothing to train with that can be read; the first: {reasons[0]}")
        logging.info("%s: its few recordings are all for training", root)
        known = known.assign(split="train")
    return known


def measured(rows: pd.DataFrame, where: str) -> pd.DataFrame:
    """Fill unknown durations in from the files' headers, and leave out what cannot be opened.

    Args:
        rows: A manifest.
        where: Where they are from, for the log, which counts what is left out.

    Raises:
        UserError: There are recordings, and none can be opened.
    """
    known, reasons = _measured(rows)
    if known.empty and reasons:
        raise UserError(
            f"{where}: of {len(reasons)} recordings of background sound none can be read; take them out, or write them"
            f" again: the first: {reasons[0]}"
        )
    _tell(where, reasons)
    return known


def _measured(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that can be opened, with their durations, and why the others cannot."""
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
        logging.warning(
            "%s: left out %d recordings that cannot be read; the first: %s", where, len(reasons), reasons[0]
        )


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

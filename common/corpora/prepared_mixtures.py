"""The folder of fixed mixtures that `python -m counting.prepare` writes, in the format of the student report.

It contains `Audio_Train0.wav`, `Audio_Validation7.wav`, `Audio_Test3.wav` and so on, numbered per split, and
`metadata.csv` with one row per mixture:

| column | meaning |
|---|---|
| `File`, `Split` | the mixture, and `train`, `validation` or `test` |
| `Speakers` | number of speakers |
| `Speakers Sex`, `F`, `M` | one letter per speaker, such as `MMF` (`?` if unknown), and the number of each |
| `Speaker IDs`, `Sources`, `Offsets` | speakers, source files and excerpt starts in seconds; separated by `;` |
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import audio, files
from common import config as configs
from common.corpora import manifest, own_tables
from common.errors import UserError
from common.files import tables

TABLE = "metadata.csv"
LAYOUT = f"mixtures with their {TABLE}, as python -m counting.prepare writes them"
COLUMNS = ("File", "Split", "Speakers", "Speakers Sex", "F", "M", "Speaker IDs", "Sources", "Offsets")
# What the mixtures were made of and how; see `check_place`.
SETTINGS = "settings.json"
_OTHERS = (TABLE, "class_balance.png", "sexes.png", "examples.png")
_NEEDED = COLUMNS[:4]
_NOBODY = "-"
_LENGTH_TOLERANCE = 0.01


def file_name(split: str, number: int) -> str:
    """Return the file name of a mixture.

    Example:
        >>> file_name("train", 12)
        'Audio_Train12.wav'
    """
    return f"Audio_{split.capitalize()}{number}.wav"


def check_place(folder: Path, settings: Mapping[str, Any]) -> None:
    """Check that mixtures can be written to a folder, before the recordings are decoded.

    Args:
        folder: The folder to write to.
        settings: How to mix, by the names of the flags, as JSON values; with `data_dir` and `noise_dir`.

    Raises:
        UserError: It cannot be written to, has files of another origin or mixtures with other settings, or is inside the
            corpus or the noise folder.
    """
    files.check_writable(folder)
    stored = read_settings(folder)
    if stored is None:
        there = [*folder.glob("Audio_*.wav"), *(path for name in _OTHERS if (path := folder / name).exists())]
        if there:
            raise UserError(f"{there[0]} was not written by this command; give another --output_dir")
    else:
        changes = [
            f"{name}={stored.get(name)} (now {value})" for name, value in settings.items() if stored.get(name) != value
        ]
        if changes:
            raise UserError(
                f"{folder} was prepared with {', '.join(changes)}; give another --output_dir, or the same flags"
            )
    place = Path(os.path.realpath(folder))
    for name in ("data_dir", "noise_dir"):
        source = settings[name]
        if source and Path(os.path.realpath(source)) in (place, *place.parents):
            raise UserError(
                f"--output_dir: {folder} is inside --{name}={source}, where mixtures would be read as recordings; give"
                " a folder outside of it"
            )


def read_settings(folder: Path) -> dict[str, Any] | None:
    """Read the settings of a prepared folder; None if it has none.

    Raises:
        UserError: They are damaged.
    """
    path = folder / SETTINGS
    if not path.exists():
        return None
    hint = f"delete {folder} or give another --output_dir"
    stored = files.read_json(path, hint)
    if not isinstance(stored, dict):
        raise UserError(f"{path} is not a JSON object with settings; {hint}")
    # Earlier versions stored paths as they were given.
    return {
        name: configs.absolute(value) if configs.is_path(name) and isinstance(value, str) else value
        for name, value in stored.items()
    }


def index(root: Path, clip_seconds: float, sexes_needed: bool = False) -> pd.DataFrame:
    """List the mixtures of a prepared folder.

    Args:
        root: The folder.
        clip_seconds: Required length of the mixtures in seconds.
        sexes_needed: Whether the sex of every speaker must be known.

    Returns:
        A manifest; a label has one letter per speaker, women first (`FMM`), or is `-` for no speakers.

    Raises:
        UserError: The table is missing or damaged, mixtures have another length, or a required sex is unknown.
    """
    path = root / TABLE
    if not path.is_file():
        raise UserError(f"{path} does not exist; create the folder by `python -m counting.prepare --output_dir={root}`")
    try:
        table = tables.read(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; prepare the folder again") from error
    missing = [name for name in _NEEDED if name not in table]
    if missing or table.empty:
        lacks = f"lacks the columns {', '.join(missing)}" if missing else "lists no mixtures"
        raise UserError(f"{path} {lacks}; expected {', '.join(_NEEDED)}: prepare the folder again")
    locate = own_tables.locator(root.resolve())
    rows = []
    # Line 1 is the header, hence the count from 2.
    for line, row in enumerate(table.to_dict("records"), start=2):
        sexes = row["Speakers Sex"]
        if row["Speakers"] != str(len(sexes)) or set(sexes) - set("FM?") or row["Split"] not in manifest.SPLITS:
            raise UserError(
                f"{path} line {line} has {row['Speakers']} speakers of the sexes {sexes!r} in the split"
                f" {row['Split']!r}; expected a letter F, M or ? for each, and one of {', '.join(manifest.SPLITS)}"
            )
        if sexes_needed and "?" in sexes:
            raise UserError(
                f"{path} line {line} has a speaker of unknown sex; use --head=class, which counts speakers only"
            )
        if not rows:
            _check_length(locate(row["File"]), clip_seconds)
        rows.append({"path": locate(row["File"]), "split": row["Split"], "label": label(sexes)})
    return manifest.from_rows(rows)


def _check_length(path: Path, clip_seconds: float) -> None:
    """Reject mixtures that differ in length from the model's clip: after cutting or padding, labels could be wrong."""
    seconds = audio.info(path).duration_seconds
    if abs(seconds - clip_seconds) > _LENGTH_TOLERANCE * clip_seconds:
        raise UserError(
            f"{path} lasts {seconds:g} s, but --clip_seconds={clip_seconds:g}: give --clip_seconds={seconds:g},"
            " or prepare mixtures of that length"
        )


def label(sexes: str) -> str:
    """Return the label of a mixture, given one letter per speaker.

    Example:
        >>> label("MFM"), label("")
        ('FMM', '-')
    """
    return "".join(sorted(sexes)).replace("?", "") + "?" * sexes.count("?") or _NOBODY


def truth(rows: pd.DataFrame) -> np.ndarray:
    """Return the numbers of women and men in each mixture of a manifest, shape `(rows, 2)`; `?` counts as a man."""
    female = rows["label"].str.count("F").to_numpy()
    total = rows["label"].str.replace(_NOBODY, "").str.len().to_numpy()
    return np.stack([female, total - female], axis=1).astype(np.int32)

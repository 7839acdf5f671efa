"""One's own recordings: one folder per class, or a table.

Three layouts are read:

    yes/anything.wav               one folder per class; folders inside it belong to it
    train/yes/…, test/yes/…        the same under folders named after splits (val, valid and dev mean validation)
    metadata.csv                   columns file,label and, where known, speaker, split, sex (F or M); it alone decides
                                   which recordings there are, and `file` is relative to the folder

A file named `<speaker>_nohash_<anything>` tells its speaker, as in Speech Commands, and noise in `_background_noise_`
is divided as there.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from common import tables
from common.corpora import manifest, splits
from common.corpora.speech_commands import BACKGROUND_NOISE, noise_rows, speaker_of
from common.errors import UserError

TABLE = "metadata.csv"
LAYOUT = "one folder per class with recordings inside, such as yes/1.wav and no/1.wav"

SPLIT_NAMES = {"train": "train", "test": "test", **dict.fromkeys(("validation", "val", "valid", "dev"), "validation")}
SEXES = {"": "", "f": "F", "female": "F", "m": "M", "male": "M"}


def index(root: str | Path, draw_missing: bool = True) -> pd.DataFrame:
    """List the recordings; splits that the layout does not give are drawn by `common.corpora.splits.assign`.

    Where there is a `train` folder without `validation` or `test` beside it, what is missing is drawn from `train`; a
    lone `test` folder is all test.

    Args:
        root: The folder.
        draw_missing: Whether a `train` folder gives some to a split that is missing; otherwise it is all training.

    Returns:
        A manifest (`common.corpora.manifest`).

    Raises:
        UserError: The folder is missing, has no recordings, or has them outside class folders only.
        UserError: Split folders stand beside others.
        UserError: A class has too few recordings to draw a split from.
        UserError: The table lacks a column, names a recording twice, or has a value that means nothing.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise UserError(f"{root} is not a folder; expected {LAYOUT}")
    rows = _rows_of_table(root) if (root / TABLE).is_file() else _rows_of_folders(root)
    classes = splits.assign(
        manifest.from_rows(row for row in rows if row["label"] != BACKGROUND_NOISE), root, draw_missing
    )
    noise = [row for row in rows if row["label"] == BACKGROUND_NOISE]
    noise = [part for row in noise for part in ([row] if row["split"] else noise_rows(Path(row["path"])))]
    return manifest.from_rows(classes.to_dict("records") + noise)


def recordings_by_folder(
    root: Path, layout: str = LAYOUT, kind: str = "class", kinds: str = "classes"
) -> list[tuple[Path, str, str]]:
    """List the recordings in folders whose names mean something, with or without folders of splits above them.

    Args:
        root: The folder.
        layout: What is expected of it, for messages.
        kind: What a folder stands for, for messages.
        kinds: The same of several.

    Returns:
        Each recording, the folder's name, and its split, empty where there are no folders of splits.

    Raises:
        UserError: There are no recordings, or they lie outside such folders.
        UserError: Split folders stand beside others.
    """
    recordings = {folder.name: _recordings(folder) for folder in manifest.class_folders(root)}
    recordings = {name: paths for name, paths in recordings.items() if paths}
    loose = manifest.audio_files(root)
    if not recordings:
        found = f"has {len(loose)} recordings but no {kind} folders" if loose else "has no recordings"
        raise UserError(f"{root} {found}; expected {layout} (suffixes: {' '.join(manifest.AUDIO_SUFFIXES)})")
    if loose:
        logging.warning(
            "%s: %d recordings outside the %s folders are left out, e.g. %s", root, len(loose), kind, loose[0]
        )
    named_as_splits = [name for name in recordings if name.lower() in SPLIT_NAMES]
    if len(named_as_splits) < len(recordings):
        if len({SPLIT_NAMES[name.lower()] for name in named_as_splits}) > 1:
            others = sorted(set(recordings) - set(named_as_splits))
            raise UserError(
                f"{root} has split folders ({', '.join(named_as_splits)}) beside others ({', '.join(others[:3])}); "
                f"expected either splits or {kinds}: move the others away or into the splits"
            )
        return [(path, name, "") for name, paths in recordings.items() for path in paths]
    rows = []
    for name, paths in recordings.items():
        for path in paths:
            parts = path.relative_to(root / name).parts
            if len(parts) < 2:
                raise UserError(
                    f"{path} lies outside a {kind} folder; expected {root.name}/{name}/<{kind}>/{path.name}"
                )
            rows.append((path, parts[0], SPLIT_NAMES[name.lower()]))
    return rows


def _rows_of_folders(root: Path) -> list[dict]:
    return [
        {"path": path, "label": label, "split": split, "speaker": speaker_of(path)}
        for path, label, split in recordings_by_folder(root)
    ]


def _recordings(folder: Path) -> list[Path]:
    """List the recordings in `folder` and below, without hidden folders."""
    found = []
    for current, names, _ in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        found.extend(manifest.audio_files(current))
    return found


def _rows_of_table(root: Path) -> list[dict]:
    path = root / TABLE
    table = read_table(path, ("file", "label"), ("speaker", "split", "sex"), "recordings")
    twice = table["file"][table["file"].duplicated()]
    if len(twice):
        raise UserError(f"{path} names {twice.iloc[0]} more than once; expected one line a recording")
    rows = []
    # Line 1 is the header, hence the count from 2.
    for line, row in enumerate(table.to_dict("records"), start=2):
        values = {name: value.strip() for name, value in row.items()}
        if not values["file"] or not values["label"]:
            raise UserError(f"{path} line {line} has no file or no label; expected both")
        recording = root / values["file"]
        rows.append(
            {
                "path": recording,
                "label": values["label"],
                "speaker": values.get("speaker", "") or speaker_of(recording),
                "split": meaning(path, line, "split", values, {"": "", **SPLIT_NAMES}),
                "sex": meaning(path, line, "sex", values, SEXES),
            }
        )
    num_given = sum(bool(row["split"]) for row in rows)
    if 0 < num_given < len(rows):
        raise UserError(f"{path} gives a split for {num_given} of {len(rows)} recordings; expected all of them or none")
    return rows


def read_table(path: Path, required: Sequence[str], optional: Sequence[str], things: str) -> pd.DataFrame:
    """Read a table that somebody wrote, perhaps with a spreadsheet: all of it text, its columns in lower case.

    Args:
        path: A CSV file.
        required: Columns that it must have.
        optional: Columns that it may have, for messages.
        things: What its lines name, for messages.

    Raises:
        UserError: The file cannot be read, lacks a column, or has no lines below its header.
    """
    columns = ",".join(required)
    try:
        table = tables.read(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; expected CSV with the columns {columns}") from error
    table.columns = [str(name).strip().lower() for name in table.columns]
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise UserError(
            f"{path} lacks the columns {', '.join(missing)} (it has {', '.join(table.columns)}); expected {columns}"
            f" and optionally {','.join(optional)}"
        )
    if table.empty:
        raise UserError(f"{path} names no {things}; expected a line for each below the header {columns}")
    return table


def meaning(path: Path, line: int, column: str, values: dict[str, str], meanings: dict[str, str]) -> str:
    """Return what a value in a table means.

    Args:
        path: The table, for messages.
        line: The line in it, for messages.
        column: The value's column; a table without it has no value there.
        values: The line's values by column.
        meanings: What each value means, in lower case.

    Raises:
        UserError: It means nothing.
    """
    value = values.get(column, "")
    if value.lower() not in meanings:
        valid = ", ".join(sorted(set(meanings.values()) - {""}))
        raise UserError(f'{path} line {line} has the {column} "{value}"; expected {valid}')
    return meanings[value.lower()]

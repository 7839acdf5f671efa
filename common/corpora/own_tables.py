"""Tables that people write beside their recordings, perhaps with a spreadsheet on another system."""

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from common.audio import listing
from common.errors import UserError
from common.files import tables
from common.files.names import plain_name

SEXES = {"": "", "f": "F", "female": "F", "m": "M", "male": "M"}


def read(path: Path, required: Sequence[str], optional: Sequence[str], things: str) -> pd.DataFrame:
    """Read such a table: all of it text, its columns in lower case.

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
    # Where every line is longer than the header, pandas takes the first column for a name of the line.
    if not isinstance(table.index, pd.RangeIndex):
        raise UserError(f"{path} has lines with more values than the header has columns; expected as many")
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


def locator(root: Path) -> Callable[[str], Path]:
    """Return a function that finds the file a table names, under the name that it has on the disk.

    Where there is no file of the very name, `\\` stands for `/`, and composed and decomposed letters are the same, as are
    bytes that are no UTF-8 and their codes (`caf\\xe9`). A file that is not found keeps the name that it was given.

    Args:
        root: The folder that names are relative to.
    """

    @functools.cache
    def known() -> dict[str, Path]:
        found = listing.find(root)
        return {"/".join(found.parts(path)): path for path in found.files}

    def locate(name: str) -> Path:
        spellings = [name, name.replace("\\", "/")]
        for spelling in spellings:
            if os.path.exists(root / spelling):
                return root / spelling
        for spelling in spellings:
            plain = plain_name(os.path.normpath(spelling))
            if plain in known():
                return known()[plain]
        return root / name

    return locate

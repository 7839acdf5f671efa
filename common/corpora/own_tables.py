"""User-written CSV tables that describe recordings, possibly exported from a spreadsheet on another system."""

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
    """Read a table with all values as text and the column names in lower case.

    Args:
        path: A CSV file.
        required: Required columns.
        optional: Optional columns, for messages.
        things: What the lines describe (a plural), for messages.

    Raises:
        UserError: The file cannot be read, lacks a column, or has no lines below its header.
    """
    columns = ",".join(required)
    try:
        table = tables.read(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; expected CSV with the columns {columns}") from error
    # If every line is longer than the header, pandas uses the first column as the index.
    if not isinstance(table.index, pd.RangeIndex):
        raise UserError(f"{path} has lines with more values than the header has columns; expected equal numbers")
    table.columns = [str(name).strip().lower() for name in table.columns]
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise UserError(
            f"{path} lacks the columns {', '.join(missing)} (it has {', '.join(table.columns)}); expected {columns}"
            f" and optionally {','.join(optional)}"
        )
    if table.empty:
        raise UserError(f"{path} lists no {things}; expected one line for each below the header {columns}")
    return table


def meaning(path: Path, line: int, column: str, values: dict[str, str], meanings: dict[str, str]) -> str:
    """Translate a value of a table.

    Args:
        path: The table, for messages.
        line: Line number, for messages.
        column: The column of the value; a missing column counts as an empty value.
        values: The values of the line by column.
        meanings: The result for each valid value; keys are in lower case.

    Raises:
        UserError: The value is not in `meanings`.
    """
    value = values.get(column, "")
    if value.lower() not in meanings:
        valid = ", ".join(sorted(set(meanings.values()) - {""}))
        raise UserError(f'{path} line {line} has the {column} "{value}"; expected {valid}')
    return meanings[value.lower()]


def locator(root: Path) -> Callable[[str], Path]:
    """Return a function that maps a file name of a table to the path on disk.

    If no file has exactly this name, `\\` is read as `/`, composed and decomposed letters are equal, and so are
    non-UTF-8 bytes and their escapes (`caf\\xe9`). If no file is found, the path has the given name.

    Args:
        root: The folder that the names are relative to.
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

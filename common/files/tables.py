"""Read and write CSV tables, also malformed ones and those with unusual file names."""

import csv
import itertools
from pathlib import Path
from typing import Any

import pandas as pd

from common import files

_MOST_COLUMNS = 1000


def read(path: str | Path, **options: Any) -> pd.DataFrame:
    """Read a CSV file with a header line.

    Args:
        path: The file.
        options: Options of `pandas.read_csv`.

    Raises:
        ValueError: It is not CSV, or has more than 1000 columns; pandas takes minutes for a hundred thousand.
        OSError: It cannot be read.
    """
    with open(path, newline="", encoding=options.get("encoding", "utf-8"), errors="replace") as file:
        rows = (row for row in csv.reader(file) if row)
        try:
            # pandas takes the number of columns from the first two lines, and rejects longer lines.
            num_columns = max(map(len, itertools.islice(rows, 2)), default=0)
        except csv.Error as error:
            raise ValueError(str(error)) from error
    if num_columns > _MOST_COLUMNS:
        raise ValueError(f"it has {num_columns} columns; expected at most {_MOST_COLUMNS}")
    return pd.read_csv(path, **options)


def write(table: pd.DataFrame, path: str | Path, **options: object) -> None:
    """Write a CSV file atomically; file names that are not UTF-8 are written as their original bytes.

    Args:
        table: The table; without its index by default.
        path: The file.
        **options: Options of `DataFrame.to_csv`.
    """
    options = {"index": False, **options}
    text = table.to_csv(**options)
    if "\r" in text:
        # The csv module does not quote fields with this line ending unless it quotes all text.
        text = table.to_csv(**{**options, "quoting": csv.QUOTE_NONNUMERIC})
    try:
        content = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        # Text that is not valid Unicode, such as a quote from a damaged file.
        content = text.encode(errors="backslashreplace")
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(content)

"""CSV tables: those that somebody else may have written, and those that name files."""

import csv
import itertools
from pathlib import Path
from typing import Any

import pandas as pd

from common import files

_MOST_COLUMNS = 1000


def read(path: str | Path, **options: Any) -> pd.DataFrame:
    """Read a CSV file whose first line names its columns.

    Args:
        path: The file.
        options: As `pandas.read_csv` takes them.

    Raises:
        ValueError: It is no CSV, or has more columns than any table here; pandas takes minutes over a hundred thousand.
        OSError: It cannot be read.
    """
    with open(path, newline="", encoding=options.get("encoding", "utf-8"), errors="replace") as file:
        rows = (row for row in csv.reader(file) if row)
        try:
            # From the header and the first line below it pandas takes the number of columns; longer lines it refuses.
            num_columns = max(map(len, itertools.islice(rows, 2)), default=0)
        except csv.Error as error:
            raise ValueError(str(error)) from error
    if num_columns > _MOST_COLUMNS:
        raise ValueError(f"it has {num_columns} columns; expected at most {_MOST_COLUMNS}")
    return pd.read_csv(path, **options)


def write(table: pd.DataFrame, path: str | Path, **options: object) -> None:
    """Write a CSV file, whole or not at all; names of files that are no UTF-8 come back by `surrogateescape`.

    Args:
        table: What to write; its index is left out unless `options` say otherwise.
        path: The file.
        **options: Those of pandas' `to_csv`.
    """
    options = {"index": False, **options}
    text = table.to_csv(**options)
    if "\r" in text:
        # The csv module quotes this end of a line only where it quotes everything.
        text = table.to_csv(**{**options, "quoting": csv.QUOTE_NONNUMERIC})
    try:
        content = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        # Text of a damaged file, quoted in the reason.
        content = text.encode(errors="backslashreplace")
    with files.atomic_path(path) as temporary:
        temporary.write_bytes(content)

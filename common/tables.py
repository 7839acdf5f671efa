"""CSV tables that somebody else may have written."""

from pathlib import Path
from typing import Any

import pandas as pd

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
    encoding = options.get("encoding")
    num_columns = pd.read_csv(path, header=None, nrows=1, dtype=str, encoding=encoding).shape[1]
    if num_columns > _MOST_COLUMNS:
        raise ValueError(f"it has {num_columns} columns; expected at most {_MOST_COLUMNS}")
    return pd.read_csv(path, **options)

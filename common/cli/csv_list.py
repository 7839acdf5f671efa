"""A CSV table on standard output: rows are written as they come."""

import csv
import sys
from typing import Self


class CsvList:
    """A header, then one row per line, each flushed.

    Example:
        with CsvList("path", "word") as rows:
            rows.add("a.wav", "yes")
    """

    def __init__(self, *columns: str):
        """Name the columns."""
        self.columns = columns

    def __enter__(self) -> Self:
        """Write the header."""
        self.add(*self.columns)
        return self

    def add(self, *row: object) -> None:
        """Write one row."""
        csv.writer(sys.stdout, lineterminator="\n").writerow(row)
        sys.stdout.flush()

    def __exit__(self, *error: object) -> None:
        """Do nothing: every row is complete."""

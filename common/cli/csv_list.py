"""A CSV table on standard output, written as its rows come."""

import csv
import sys
from typing import Self


class CsvList:
    """A header, then a row a line, each at once.

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
        """Leave the table as it is: every row of it is whole."""

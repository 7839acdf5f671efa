"""A CSV table on standard output."""

import csv

import pytest

from common.cli.csv_list import CsvList


def test_what_is_written_is_read_back_also_after_an_error(capsys):
    with pytest.raises(KeyboardInterrupt), CsvList("path", "word") as rows:
        rows.add('a, "b".wav', "yes")
        rows.add("c.wav", 0.5)
        raise KeyboardInterrupt
    assert list(csv.reader(capsys.readouterr().out.splitlines())) == [
        ["path", "word"],
        ['a, "b".wav', "yes"],
        ["c.wav", "0.5"],
    ]


def test_a_row_is_there_before_the_next_one(monkeypatch, tmp_path):
    path = tmp_path / "rows.csv"
    with path.open("w") as output:
        monkeypatch.setattr("sys.stdout", output)
        with CsvList("path") as rows:
            assert path.read_text() == "path\n"
            rows.add("a.wav")
            assert path.read_text() == "path\na.wav\n"

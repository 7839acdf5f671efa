import os

import pandas as pd
import pytest

from common.files import tables


def test_options_are_those_of_pandas(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\ufefffile, label\n1,\n", encoding="utf-8")
    table = tables.read(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    assert table.to_dict("records") == [{"file": "1", "label": ""}]


@pytest.mark.parametrize("line", ["a," * 1000 + "a", "\n\n" + "," * 500_000, "a,b\n" + "1," * 100_000])
def test_too_many_columns_are_refused_at_once(tmp_path, line):
    (tmp_path / "a.csv").write_text(f"{line}\n1,2\n")
    with pytest.raises(ValueError, match="columns; expected at most 1000"):
        tables.read(tmp_path / "a.csv")


def test_a_quote_that_never_ends_is_told(tmp_path):
    (tmp_path / "a.csv").write_text('"' + "a" * 200_000)
    with pytest.raises(ValueError):
        tables.read(tmp_path / "a.csv")


def test_names_that_are_no_text_come_back(tmp_path):
    """Linux takes any bytes for the name of a file; old archives have Latin-1."""
    name = os.fsdecode(b"caf\xe9.wav")
    tables.write(pd.DataFrame({"path": [name]}), tmp_path / "table.csv")
    table = tables.read(tmp_path / "table.csv", encoding_errors="surrogateescape")
    assert table["path"].tolist() == [name]


def test_text_that_cannot_be_written_is_quoted(tmp_path):
    tables.write(pd.DataFrame({"reason": ["half of a pair: \ud800"]}), tmp_path / "table.csv")
    assert tables.read(tmp_path / "table.csv")["reason"].tolist() == ["half of a pair: \\ud800"]


def test_a_table_can_keep_its_index_and_have_any_names(tmp_path):
    labels = pd.Index(["caf\udce9", "b"], name="true")
    tables.write(pd.DataFrame([[0.5, 1], [2, 3]], labels, labels), tmp_path / "a.csv", index=True, float_format="%.1f")
    assert (tmp_path / "a.csv").read_bytes() == b"true,caf\xe9,b\ncaf\xe9,0.5,1\nb,2.0,3\n"


def test_ends_of_lines_in_names_come_back(tmp_path):
    names = ["a\rb", "c\nd", "e\r\nf", "\r", "plain", 'g"h']
    tables.write(pd.DataFrame({"path": names, "start": 0.0}), tmp_path / "table.csv")
    table = tables.read(tmp_path / "table.csv")
    assert table["path"].tolist() == names and table["start"].tolist() == [0.0] * 6

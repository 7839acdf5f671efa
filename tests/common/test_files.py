import json

import numpy as np
import pytest

from common import files
from common.errors import UserError, nearest


def test_a_file_appears_whole_and_nothing_else_is_left(tmp_path):
    files.write_text(tmp_path / "new" / "a.txt", "ü")
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "ü"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        files.write_text(tmp_path / "file" / "a.txt", "")


def test_json_takes_numpy_and_has_no_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": np.float32(0.5), "b": np.array([1.0, np.nan]), "c": float("inf")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 0.5, "b": [1.0, None], "c": None}


def test_nearest_is_silent_when_nothing_comes_close():
    assert nearest("xyz", ["epochs", "seed"]) == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ', "Expecting value"),
        (b"\xff\xfe", "codec"),
        (b"9" * 5000, "digits"),
    ],
)
def test_json_that_is_none_is_told(tmp_path, content, reason):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=f"cannot read .*a.json: .*{reason}.*; make it again"):
        files.read_json(tmp_path / "a.json", "make it again")
    with pytest.raises(FileNotFoundError):
        files.read_json(tmp_path / "absent.json", "make it again")


def test_what_an_error_quotes_cannot_move_the_cursor_or_fill_the_screen():
    assert str(UserError("a\n  \x1b[2J\x07\ud800 ü")) == "a \\x1b[2J\\x07\\ud800 ü"
    long = str(UserError("begin " + "x" * 100_000 + " end"))
    assert len(long) < 1600 and long.startswith("begin x") and long.endswith("x end")

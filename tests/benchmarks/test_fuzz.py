"""A few hundred hostile inputs, the same ones every time; `python -m benchmarks.fuzz` tries as many as one likes."""

import json
import logging
import os
from pathlib import Path

import pytest

from benchmarks.fuzzing import array_mutations, mutations, readers, worker
from benchmarks.fuzzing.readers import READERS, Reader

# The dear ones get a handful.
COUNTS = dict.fromkeys(READERS, 20) | {"run": 1, "shards": 4, "standard_input": 10, "tfio": 10}


@pytest.fixture(autouse=True)
def silent():
    """Hostile text in the log could not be passed on by whoever runs tests in several processes."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", COUNTS)
def test_hostile_input_gives_a_result_or_a_line(name, tmp_path):
    good = worker.inputs_of(name, tmp_path / "good")
    for number in range(COUNTS[name]):
        files = mutations.mutate(good, READERS[name].targets, name, 7, number)
        result = worker.attempt(name, files, tmp_path / "sandbox", number)
        assert result.kind in ("read", "refused"), result


def test_a_number_tells_the_input():
    good = [{"a.json": b'{"a": [1, 2, "three"], "b": 4.5}', "b.wav": b"RIFF" + bytes(100)}]
    made = [mutations.mutate(good, (".json",), "config", 0, number) for number in range(50)]
    assert made == [mutations.mutate(good, (".json",), "config", 0, number) for number in range(50)]
    assert len({files["a.json"] for files in made}) > 25
    assert all(files["b.wav"] == good[0]["b.wav"] for files in made)
    assert made != [mutations.mutate(good, (".json",), "config", 1, number) for number in range(50)]


def raises(folder: Path) -> None:
    json.loads((folder / "a").read_text())


def tells_two_lines(folder: Path) -> None:
    from common.errors import UserError

    error = UserError("a long enough line of text")
    error.args = ("a line of text\nand another",)
    raise error


def climbs(folder: Path) -> None:
    (folder / ".." / "evil").write_text("evil")


def executes(folder: Path) -> None:
    os.mkdir(array_mutations.CANARY)


def prints_a_traceback(folder: Path) -> None:
    import sys
    import traceback

    try:
        raises(folder)
    except ValueError:
        traceback.print_exc(file=sys.stderr)


@pytest.mark.parametrize(
    ("read", "kind"),
    [
        (raises, "JSONDecodeError"),
        (tells_two_lines, "unclear error"),
        (climbs, "file outside its folder"),
        (executes, "file outside its folder"),
        (prints_a_traceback, "printed traceback"),
    ],
)
def test_what_goes_wrong_is_found(read, kind, tmp_path, monkeypatch):
    monkeypatch.setitem(readers.READERS, "broken", Reader(lambda folder: [], read))
    assert worker.attempt("broken", {"a": b"no JSON"}, tmp_path / "sandbox").kind == kind
    assert not array_mutations.CANARY.exists()

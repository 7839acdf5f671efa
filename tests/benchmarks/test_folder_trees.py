"""A hundred folder trees, the same ones every time; `python -m benchmarks.folder_trees` tries as many as one likes."""

import logging
import os

import pandas as pd
import pytest

from benchmarks import folder_trees
from benchmarks.fuzzing import trees
from common.corpora import manifest
from common.errors import UserError


@pytest.fixture(autouse=True)
def silent():
    """Names of all bytes in the log could not be passed on by whoever runs tests in several processes."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
def test_every_tree_is_listed_or_refused_in_a_line():
    table, findings = folder_trees.run(0, 100, seed=0)
    assert not findings
    counts = table.set_index("reader")
    # All of them read some and refuse some.
    assert (
        counts.loc[["folder", "speaker_folders", "track_folders", "music_folder", "noise", "inputs"], "read"] > 5
    ).all()
    assert (counts.loc[["folder", "speaker_folders", "track_folders"], "refused"] > 10).all()


def test_a_number_tells_the_tree(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    first, again, other = (trees.make(tmp_path / name, 0, number) for name, number in (("a", 5), ("b", 5), ("c", 6)))
    assert _names(first) == _names(again) != _names(other)


def _names(root):
    return sorted(
        os.path.relpath(os.path.join(current, name), root) for current, _, names in os.walk(root) for name in names
    )


@pytest.mark.parametrize(
    ("read", "detail"),
    [
        (lambda root: 1 / 0, "ZeroDivisionError"),
        (lambda root: manifest.from_rows([{"path": root.parent / "a.wav"}]), "outside"),
        (lambda root: manifest.from_rows([{"path": root / ".b" / "a.wav"}]), "hidden"),
        (lambda root: manifest.from_rows([{"path": root / "a.wav"}] * 2), "listed twice"),
        (lambda root: manifest.from_rows([{"path": root / "a.wav", "label": "a\u0301"}]), "a label that"),
        (lambda root: pd.DataFrame({"path": []}), "KeyError"),
    ],
)
def test_what_is_wrong_is_found(tmp_path, read, detail):
    kind, told = folder_trees.attempt(read, tmp_path)
    assert kind == "finding" and detail in told


def test_a_refusal_is_no_finding(tmp_path):
    def refuse(root):
        raise UserError(f"{root} is\nnothing")

    assert folder_trees.attempt(refuse, tmp_path) == ("refused", "")


def test_a_change_is_seen(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"1")
    (tmp_path / "b").symlink_to("a.wav")
    before = folder_trees.snapshot(tmp_path)
    assert folder_trees.snapshot(tmp_path) == before
    (tmp_path / "a.wav").write_bytes(b"2")
    assert folder_trees.snapshot(tmp_path) != before

"""The table of a corpus."""

import numpy as np
import pytest

from common.corpora import manifest
from common.errors import UserError


def _table():
    return manifest.from_rows(
        [
            {
                "path": "/b.wav",
                "split": "test",
                "label": "NA",
                "speaker": "007",
                "sex": "F",
                "start": 1.5,
                "duration": 2,
            },
            {"path": "/a.wav", "split": "train", "label": "null", "start": 2.0},
            {"path": "/a.wav", "split": "train", "label": 'a, "b"\nc', "start": 0.0},
        ]
    )


def test_rows_are_ordered_and_complete():
    table = _table()
    assert tuple(table.columns) == manifest.COLUMNS
    assert table[["path", "start"]].to_numpy().tolist() == [["/a.wav", 0.0], ["/a.wav", 2.0], ["/b.wav", 1.5]]
    assert np.isnan(table["duration"][0]) and table["speaker"][0] == table["sex"][0] == ""


def test_what_is_written_is_read_back(tmp_path):
    manifest.write(_table(), tmp_path / "m.csv")
    assert manifest.read(tmp_path / "m.csv").equals(_table())
    empty = manifest.from_rows([])
    assert len(empty) == 0 and tuple(empty.columns) == manifest.COLUMNS


def test_a_bad_manifest_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot read the manifest"):
        manifest.read(tmp_path / "missing.csv")
    (tmp_path / "m.csv").write_text("path,start\n/a.wav,0\n")
    with pytest.raises(UserError, match="lacks the manifest columns duration, split"):
        manifest.read(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("")
    with pytest.raises(UserError, match="cannot read the manifest"):
        manifest.read(tmp_path / "m.csv")


def test_audio_files_and_folders_are_listed_without_hidden_ones(tmp_path):
    for name in ("b.WAV", "a.flac", ".hidden.wav", "notes.txt"):
        (tmp_path / name).touch()
    for name in ("yes", "no", ".git", "folder.wav"):
        (tmp_path / name).mkdir()
    assert [path.name for path in manifest.audio_files(tmp_path)] == ["a.flac", "b.WAV"]
    assert [path.name for path in manifest.class_folders(tmp_path)] == ["folder.wav", "no", "yes"]


def test_hash_splits_are_fixed_and_of_the_shares_asked_for():
    # These names must never move, or a growing corpus would train on what it tests with.
    assert [manifest.hash_split(name) for name in ("speaker_8", "speaker_1", "speaker_0")] == [
        "test",
        "train",
        "validation",
    ]
    splits = [manifest.hash_split(f"speaker_{number}", 20, 5) for number in range(4000)]
    shares = [splits.count(split) / len(splits) for split in manifest.SPLITS]
    np.testing.assert_allclose(shares, [0.75, 0.2, 0.05], atol=0.02)
    assert {manifest.hash_split(str(number), 0, 0) for number in range(100)} == {"train"}


def test_selecting_a_split():
    table = _table()
    assert len(manifest.select(table, "all")) == 3
    assert manifest.select(table, "test")["path"].tolist() == ["/b.wav"]
    with pytest.raises(UserError, match="the validation split has no recordings .*train"):
        manifest.select(table, "validation")
    with pytest.raises(UserError, match='unknown split "tset"'):
        manifest.select(table, "tset")


@pytest.mark.parametrize("cell", ["", "yes", "1.5.2"])
def test_a_cell_that_is_no_number_is_told(tmp_path, cell):
    manifest.write(_table(), tmp_path / "manifest.csv")
    lines = (tmp_path / "manifest.csv").read_text().splitlines()
    lines[-1] = lines[-1].rpartition(",")[0] + f",{cell}"
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    with pytest.raises(UserError, match="cannot read the manifest .*delete it"):
        manifest.read(tmp_path / "manifest.csv")

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


def test_recordings_below_a_folder_are_split_by_their_names(tmp_path):
    for name in ("deep/er/a.wav", "b.flac", "._b.flac", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    table = manifest.recordings_below(tmp_path, "--noise_dir")
    assert table["path"].tolist() == [str(tmp_path / "b.flac"), str(tmp_path / "deep/er/a.wav")]
    assert table["split"].tolist() == [manifest.hash_split("b"), manifest.hash_split("a")]


def test_names_hash_alike_however_their_accents_are_written_and_whatever_their_bytes():
    assert manifest.name_hash("adio\u0301s") == manifest.name_hash("adi\u00f3s")
    assert manifest.hash_split("caf\udce9_1") in manifest.SPLITS and manifest.hash_split("\ud800") in manifest.SPLITS


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

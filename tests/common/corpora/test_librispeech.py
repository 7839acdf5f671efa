"""LibriSpeech: where its subsets lie, who reads, and its download from a server on this machine."""

import contextlib
import functools
import hashlib
import http.server
import io
import os
import shutil
import tarfile
import threading
from pathlib import Path

import pytest

from common.corpora import librispeech, manifest
from common.errors import UserError

SPEAKERS = """; Some pipe(|) separated metadata
;ID  |SEX| SUBSET           |MINUTES| NAME
14   | F | train-clean-100  | 25.03 | Kristin LeMoine
16   | M | dev-clean        | 25.11 | Alys | AtteWater
17   | M | test-clean       | 25.04 | Gord Mackenzie
19   | x | test-clean       | 25.04 | nobody knows
"""


def _corpus(root, names, speakers=SPEAKERS):
    """Make recordings, `<subset>/<speaker>` each, that nobody could open."""
    for name in names:
        subset, speaker = name.split("/")
        for utterance in (0, 1):
            path = root / subset / speaker / "9" / f"{speaker}-9-000{utterance}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        (path.parent / f"{speaker}-9.trans.txt").touch()
    if speakers:
        (root / "SPEAKERS.TXT").write_text(speakers, encoding="utf-8")
    return root


THREE = ["train-clean-100/14", "dev-clean/16", "test-clean/17", "test-other/19", "test-other/20"]


@pytest.mark.parametrize("place", ["", "LibriSpeech"])
def test_the_subsets_are_the_splits_and_the_table_tells_the_sex(tmp_path, place):
    _corpus(tmp_path / place, THREE)
    table = librispeech.index(tmp_path)
    people = {(row.speaker, row.split, row.sex) for row in table.itertuples()}
    assert people == {
        ("14", "train", "F"),
        ("16", "validation", "M"),
        ("17", "test", "M"),
        ("19", "test", ""),
        ("20", "test", ""),
    }
    assert tuple(table.columns) == manifest.COLUMNS and len(table) == 10 and set(table["label"]) == {""}
    assert table["duration"].isna().all() and (table["start"] == 0).all()
    assert str(tmp_path / place / "dev-clean" / "16" / "9" / "16-9-0001.flac") in set(table["path"])


def test_a_part_of_the_corpus_is_split_by_speaker(tmp_path):
    speakers = [str(number) for number in range(300)]
    # An empty subset is no split.
    (tmp_path / "dev-clean").mkdir()
    _corpus(tmp_path, [f"train-clean-100/{name}" for name in speakers[:200]] + [f"test-other/{n}" for n in speakers])
    table = librispeech.index(tmp_path)
    assert dict(zip(table["speaker"], table["split"], strict=True)) == {n: manifest.hash_split(n) for n in speakers}
    assert table.groupby("speaker")["split"].nunique().max() == 1 and set(table["split"]) == set(manifest.SPLITS)


def test_without_the_table_nobodys_sex_is_known(tmp_path, caplog):
    table = librispeech.index(_corpus(tmp_path, THREE, speakers=None))
    assert set(table["sex"]) == {""} and len(table) == 10
    assert len(caplog.messages) == 1 and "SPEAKERS.TXT (No such file or directory)" in caplog.messages[0]


def test_what_is_not_the_corpus_is_told(tmp_path):
    with pytest.raises(UserError, match="missing is not a folder; expected LibriSpeech"):
        librispeech.index(tmp_path / "missing")
    (tmp_path / "music").mkdir()
    (tmp_path / ".dev-clean").mkdir()
    with pytest.raises(UserError, match="has no subsets of LibriSpeech; expected <subset>/"):
        librispeech.index(tmp_path)
    _corpus(tmp_path / "libri", ["dev-clean/16"])
    with pytest.raises(UserError, match=r"no subsets of LibriSpeech; give the folder above it, \S+libri;"):
        librispeech.index(tmp_path / "libri" / "dev-clean")
    (tmp_path / "dev-clean" / "16").mkdir(parents=True)
    (tmp_path / "dev-clean" / "16" / "loose.flac").touch()
    with pytest.raises(UserError, match="no recordings in dev-clean of"):
        librispeech.index(tmp_path)


def test_the_real_recordings(real_data):
    table = librispeech.index(real_data / "librispeech")
    people = table.drop_duplicates("speaker")
    assert len(table) == 227 and people["sex"].value_counts().to_dict() == {"M": 87, "F": 86}
    assert table.groupby("speaker")["split"].nunique().max() == 1
    assert people["split"].value_counts().min() >= 8 and set(people["split"]) == set(manifest.SPLITS)


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Keep the test's output clean."""


def _archive(subset: str, speaker: str) -> bytes:
    files = {
        f"LibriSpeech/{subset}/{speaker}/9/{speaker}-9-0000.flac": subset.encode(),
        "LibriSpeech/SPEAKERS.TXT": SPEAKERS.encode(),
        "LibriSpeech/README.TXT": b"about it",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVES = {
    "dev-clean": _archive("dev-clean", "16"),
    "test-clean": _archive("test-clean", "17"),
    "train-clean-100": _archive("train-clean-100", "14"),
}
WHOLE = {
    "README.TXT",
    "SPEAKERS.TXT",
    "dev-clean/16/9/16-9-0000.flac",
    "test-clean/17/9/17-9-0000.flac",
    "train-clean-100/14/9/14-9-0000.flac",
}


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder of small archives on this machine that stands for the server."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, content in ARCHIVES.items():
        (folder / f"{name}.tar.gz").write_bytes(content)
        monkeypatch.setitem(librispeech.SHA256, name, hashlib.sha256(content).hexdigest())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = functools.partial(_Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            monkeypatch.setenv("LIBRISPEECH_URL", f"http://127.0.0.1:{server.server_port}/")
            yield folder
        finally:
            server.shutdown()
            thread.join()


def _tree(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_usual_subsets_are_fetched_once(tmp_path, mirror):
    assert librispeech.download(tmp_path / "libri") == tmp_path / "libri"
    assert _tree(tmp_path / "libri") == WHOLE
    assert {path.name for path in (tmp_path / "libri").iterdir()} == {name.split("/")[0] for name in WHOLE}
    assert librispeech.index(tmp_path / "libri")["split"].value_counts().to_dict() == dict.fromkeys(manifest.SPLITS, 1)
    shutil.rmtree(mirror)
    librispeech.download(tmp_path / "libri")
    assert _tree(tmp_path / "libri") == WHOLE


def test_chosen_subsets_are_listed_alone(tmp_path):
    root = _corpus(tmp_path, THREE)
    table = librispeech.index(root, ("dev-clean", "test-clean"))
    assert {Path(path).relative_to(root).parts[0] for path in table["path"]} == {"dev-clean", "test-clean"}
    with pytest.raises(UserError, match="subsets: .*not 'test-claen'.*Did you mean \"test-clean\""):
        librispeech.index(root, ("test-claen",))


def test_a_subset_that_is_there_is_left_alone_and_others_join_it(tmp_path, mirror):
    root = tmp_path / "libri"
    _corpus(root / "LibriSpeech", ["dev-clean/999"])
    librispeech.download(root, ("dev-clean", "test-clean"))
    assert _tree(root / "LibriSpeech" / "dev-clean") == {
        "999/9/999-9-0000.flac",
        "999/9/999-9-0001.flac",
        "999/9/999-9.trans.txt",
    }
    assert (root / "LibriSpeech" / "test-clean" / "17" / "9" / "17-9-0000.flac").read_bytes() == b"test-clean"
    assert {path.name for path in root.iterdir()} == {"LibriSpeech"}


def test_an_empty_folder_of_a_subset_is_filled(tmp_path, mirror):
    (tmp_path / "libri" / "dev-clean").mkdir(parents=True)
    librispeech.download(tmp_path / "libri", ("dev-clean",))
    assert "dev-clean/16/9/16-9-0000.flac" in _tree(tmp_path / "libri")


def _interrupt(monkeypatch, count: int) -> None:
    """Let the process die, as far as files are concerned, at the given renaming or removal."""
    calls = iter(range(count))

    def stopping(function):
        @functools.wraps(function)
        def call(*arguments, **options):
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(os, "replace", stopping(os.replace))
    monkeypatch.setattr(os, "rename", stopping(os.rename))
    monkeypatch.setattr(shutil, "rmtree", stopping(shutil.rmtree))


def test_interrupted_anywhere_the_same_call_goes_on(tmp_path, mirror, monkeypatch):
    for count in range(100):
        root = tmp_path / f"libri{count}"
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            _interrupt(patch, count)
            librispeech.download(root, ("dev-clean", "test-clean"))
            break
        librispeech.download(root, ("dev-clean", "test-clean"))
        assert _tree(root) == WHOLE - {"train-clean-100/14/9/14-9-0000.flac"}
        assert {path.name for path in root.iterdir() if path.is_dir()} == {"dev-clean", "test-clean"}
    assert 8 < count < 99


def test_what_cannot_be_fetched_is_told(tmp_path, mirror):
    with pytest.raises(UserError, match="subsets: expected .*'dev-claen'.*Did you mean \"dev-clean\"") as caught:
        librispeech.download(tmp_path / "libri", ("test-clean", "dev-claen"))
    assert "\n" not in caught.value.command_line and not (tmp_path / "libri").exists()
    with pytest.raises(UserError, match="cannot download .*dev-other.tar.gz"):
        librispeech.download(tmp_path / "libri", ("dev-other",))
    (mirror / "dev-clean.tar.gz").write_bytes(ARCHIVES["test-clean"])
    with pytest.raises(UserError, match="the SHA-256 of"):
        librispeech.download(tmp_path / "libri", ("dev-clean",))
    (tmp_path / "file").write_text("stands in the way")
    with pytest.raises(UserError, match="check the folder"):
        librispeech.download(tmp_path / "file", ("dev-clean",))


def test_the_checksums_are_of_the_seven_subsets():
    assert len(librispeech.SHA256) == len(set(librispeech.SHA256.values())) == 7
    assert all(len(checksum) == 64 and int(checksum, 16) for checksum in librispeech.SHA256.values())

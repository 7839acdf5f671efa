"""The recordings that a command line names."""

import io
import sys
from pathlib import Path

import pytest

from common import audio
from common.cli import inputs
from common.cli.guard import Guard
from common.errors import UserError


@pytest.fixture
def album(tmp_path, rng):
    """A folder with a recording at its top and one below it, and a text."""
    for name in ("b.wav", "live/a.flac"):
        audio.write(tmp_path / name, rng.uniform(-0.5, 0.5, 800), 8000)
    (tmp_path / "notes.txt").write_text("no audio")
    return tmp_path


def test_files_folders_and_standard_input_are_found_in_the_order_named(album):
    found = list(inputs.recordings([str(album / "notes.txt"), str(album), "-"]))
    files = [album / "b.wav", album / "live/a.flac"]
    assert found[0] == (str(album / "notes.txt"), album / "notes.txt", None)
    assert sorted(found[1:-1]) == [(str(file), file, album) for file in files]
    assert found[-1] == ("-", sys.stdin.buffer, None)


def test_no_recording_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no recording given"):
        list(inputs.recordings([]))
    with pytest.raises(UserError, match="has no audio files"):
        list(inputs.recordings([str(tmp_path)]))


def test_a_stream_is_a_file_for_a_while(album):
    content = (album / "b.wav").read_bytes()
    with inputs.on_disk(io.BytesIO(content)) as path:
        assert path.read_bytes() == content
    assert not path.exists()
    with inputs.on_disk(album / "b.wav") as path:
        assert path == album / "b.wav"
    assert path.exists()


def test_what_is_wrong_with_a_stream_is_said_of_standard_input():
    with (
        pytest.raises(UserError, match="^standard input is not readable audio"),
        inputs.on_disk(io.BytesIO(b"text")) as path,
    ):
        audio.info(path)


def test_a_full_disk_is_one_line():
    class Full(io.BytesIO):
        def read(self, *_):
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="cannot copy standard input.* set TMPDIR"), inputs.on_disk(Full()):
        pass


def test_what_a_folder_holds_beside_recordings_is_counted_and_a_tilde_is_home(album, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setenv("HOME", str(album))
    (album / "._b.wav").write_bytes(b"companion")
    (album / "live" / "again").symlink_to("..")
    named = list(inputs.recordings(["~", "~/b.wav"]))
    assert [name for name, _, _ in named] == [str(album / name) for name in ("b.wav", "live/a.flac", "b.wav")]
    assert caplog.messages == [
        f"{album}: skipped 1 file that is not audio (.txt 1), 1 link to one of its parent folders"
    ]


def test_a_name_that_is_too_long_is_left_to_the_reader():
    assert list(inputs.recordings(["x" * 5000])) == [("x" * 5000, Path("x" * 5000), None)]


def test_what_is_not_there_is_told_before_anything_is_read(album, capsys):
    guard = Guard()
    named = inputs.recordings([str(album / "b.wav"), str(album / "missing.wav"), "-", str(album / "notes.txt")])
    assert [one[0] for one in inputs.present(guard, named)] == [str(album / "b.wav"), "-", str(album / "notes.txt")]
    assert guard.failures == 1
    assert "missing.wav does not exist" in capsys.readouterr().err

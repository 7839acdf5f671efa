"""The recordings that a command line names."""

import io
import sys

import pytest

from common import audio, inputs
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
    assert found[0] == (str(album / "notes.txt"), album / "notes.txt", False)
    assert sorted(found[1:-1]) == [(str(file), file, True) for file in files]
    assert found[-1] == ("-", sys.stdin.buffer, False)


def test_no_recording_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no recording given"):
        list(inputs.recordings([]))
    with pytest.raises(UserError, match="holds no audio files"):
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
    with pytest.raises(UserError, match="^standard input is not audio"), inputs.on_disk(io.BytesIO(b"text")) as path:
        audio.info(path)


def test_a_full_disk_is_one_line():
    class Full(io.BytesIO):
        def read(self, *_):
            raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="cannot copy standard input.* set TMPDIR"), inputs.on_disk(Full()):
        pass

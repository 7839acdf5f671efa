"""Paths and file objects that recordings come from."""

import contextlib
import io
import os

import pytest

from common.audio import sources
from common.errors import UserError
from tests.pipes import Pipe


def test_what_cannot_seek_is_copied_and_what_can_is_not(tmp_path):
    with contextlib.ExitStack() as stack:
        copied = sources.seekable(stack, "a", Pipe(b"abc"))
        assert copied.read() == b"abc" and copied.seek(1) == 1
        file = io.BytesIO(b"abc")
        assert sources.seekable(stack, "a", file) is file
        file.read(1)
        assert sources.seekable(stack, "a", file).read() == b"bc"
        (tmp_path / "a").write_bytes(b"abc")
        assert sources.seekable(stack, "a", tmp_path / "a").read() == b"abc"
        with pytest.raises(UserError, match="a is empty"):
            sources.seekable(stack, "a", Pipe(b""))


def test_names_are_those_that_a_user_knows(tmp_path):
    assert sources.source_name(io.BytesIO()) == "standard input"
    with pytest.raises(UserError, match="is a folder"):
        sources.source_name(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        sources.source_name(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="not a regular file"):
        sources.source_name(tmp_path / "pipe")


def test_a_full_disk_is_told():
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(UserError, match="set TMPDIR"):
        sources.copy("standard input", Pipe(b"abc"), full)

"""Downloads from a server on this machine: good, cut short, broken, and hostile."""

import contextlib
import hashlib
import http.server
import io
import os
import re
import tarfile
import tempfile
import threading
import uuid
import zipfile

import pytest

from common.corpora import download, speech_commands
from common.errors import UserError
from tests.errors import refused

EVIL = os.path.join(tempfile.gettempdir(), f"evil_{uuid.uuid4().hex}")
FILES = {"yes/a_nohash_0.wav": b"one", "no/b_nohash_0.wav": b"two", "LICENSE": b"x" * 100_000}


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves `content` with or without ranges, and breaks off after `break_after` bytes `num_breaks` times."""

    content = b""
    ranges = True
    break_after = None
    num_breaks = 0
    requests: list = []

    def do_GET(self):
        """Answer one request."""
        self.requests.append(self.headers.get("Range"))
        if self.path != "/archive":
            self.send_error(404)
            return
        first = 0
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.ranges:
            first = int(asked[1])
            if first >= len(self.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(self.content)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(self.content) - 1}/{len(self.content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(self.content) - first))
        self.end_headers()
        rest = self.content[first:]
        if type(self).num_breaks:
            type(self).num_breaks -= 1
            rest = rest[: self.break_after]
        self.wfile.write(rest)

    def log_message(self, *arguments):
        """Keep the test's output clean."""


@contextlib.contextmanager
def _server(content: bytes, **behaviour):
    handler = type("Handler", (_Handler,), {"content": content, "requests": [], **behaviour})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/archive", handler
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    """Reach this machine directly, whatever proxy it stands behind."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def _tar(files: dict[str, bytes], members: tuple[tarfile.TarInfo, ...] = (), mode: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for member in members:
            archive.addfile(member)
    return buffer.getvalue()


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _tree(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "pack", [_tar, _zip, lambda files: _tar(files, mode="w"), lambda files: _tar(files, mode="w:xz")]
)
def test_an_archive_is_fetched_and_unpacked_once(tmp_path, pack):
    content = pack(FILES)
    with _server(content) as (url, handler):
        for _ in range(2):
            assert download.fetch(url, tmp_path / "corpus", _sha256(content)) == tmp_path / "corpus"
    assert handler.requests == [None]
    assert _tree(tmp_path) == {f"corpus/{name}": data for name, data in FILES.items()}


def test_an_existing_empty_folder_is_filled(tmp_path):
    content = _tar(FILES)
    (tmp_path / "corpus").mkdir()
    with _server(content) as (url, _):
        download.fetch(url, tmp_path / "corpus", _sha256(content))
    assert _tree(tmp_path / "corpus") == FILES


def test_speech_commands_can_be_pointed_elsewhere(tmp_path, monkeypatch):
    content = _tar(FILES)
    with _server(content) as (url, _):
        speech_commands.download(tmp_path / "argument", url=url, sha256=_sha256(content))
        monkeypatch.setenv("SPEECH_COMMANDS_URL", url)
        monkeypatch.setenv("SPEECH_COMMANDS_SHA256", _sha256(content))
        speech_commands.download(tmp_path / "environment")
    assert _tree(tmp_path / "argument") == _tree(tmp_path / "environment") == FILES


def test_a_broken_connection_is_continued_in_the_same_call(tmp_path):
    content = _tar({**FILES, "random": os.urandom(300_000)})
    with _server(content, break_after=100_000, num_breaks=2) as (url, handler):
        download.fetch(url, tmp_path / "corpus", _sha256(content))
    assert handler.requests == [None, "bytes=65536-", "bytes=131072-"]


def test_a_later_call_continues_what_an_earlier_one_left(tmp_path):
    content = _tar({**FILES, "random": os.urandom(500_000)})
    with _server(content, break_after=70_000, num_breaks=5) as (url, handler):
        with pytest.raises(UserError, match="cannot download .* run the command again"):
            download.fetch(url, tmp_path / "corpus", _sha256(content))
        assert not (tmp_path / "corpus").exists()
        download.fetch(url, tmp_path / "corpus", _sha256(content))
    assert handler.requests[-1] == "bytes=327680-"
    assert len(_tree(tmp_path / "corpus")) == 4 and not (tmp_path / "corpus.download").exists()


def test_a_server_without_ranges_is_asked_from_the_start(tmp_path):
    content = _tar({**FILES, "random": os.urandom(300_000)})
    with _server(content, ranges=False, break_after=100_000, num_breaks=1) as (url, handler):
        download.fetch(url, tmp_path / "corpus", _sha256(content))
    assert handler.requests == [None, "bytes=65536-"]
    assert len(_tree(tmp_path / "corpus")) == 4


def test_a_part_that_is_whole_is_used(tmp_path):
    content = _tar(FILES)
    workplace = tmp_path / "corpus.download"
    workplace.mkdir()
    (workplace / f"{_sha256(content)[:16]}.archive.part").write_bytes(content)
    with _server(content) as (url, handler):
        download.fetch(url, tmp_path / "corpus", _sha256(content))
    assert handler.requests == [f"bytes={len(content)}-"]
    assert _tree(tmp_path / "corpus") == FILES


def test_a_part_that_is_too_long_is_thrown_away(tmp_path):
    content = _tar(FILES)
    workplace = tmp_path / "corpus.download"
    workplace.mkdir()
    (workplace / f"{_sha256(content)[:16]}.archive.part").write_bytes(content + b"more")
    with _server(content) as (url, handler):
        download.fetch(url, tmp_path / "corpus", _sha256(content))
    assert handler.requests == [f"bytes={len(content) + 4}-", None]


def test_an_interrupted_unpacking_is_done_again_without_a_download(tmp_path, monkeypatch):
    content = _tar(FILES)
    with _server(content) as (url, handler):
        with monkeypatch.context() as patch:
            # Stopped as by Ctrl-C, after one file.
            patch.setattr(download, "_safe_name", _stop_after(1, download._safe_name))
            with pytest.raises(KeyboardInterrupt):
                download.fetch(url, tmp_path / "corpus", _sha256(content))
        assert not (tmp_path / "corpus").exists()
        # Killed, so that nothing was tidied away.
        (tmp_path / "corpus.download" / "unpacked").mkdir()
        (tmp_path / "corpus.download" / "unpacked" / "half").write_bytes(b"a file")
        download.fetch(url, tmp_path / "corpus", _sha256(content))
    assert handler.requests == [None]
    assert _tree(tmp_path) == {f"corpus/{name}": data for name, data in FILES.items()}


def _stop_after(count: int, function):
    remaining = iter(range(count))

    def stopping(*arguments):
        if next(remaining, None) is None:
            raise KeyboardInterrupt
        return function(*arguments)

    return stopping


def test_a_wrong_checksum_is_told_and_the_file_is_not_kept(tmp_path):
    content = _tar(FILES)
    with _server(content[:-5] + b"12345") as (url, _), pytest.raises(UserError, match="the SHA-256 of"):
        download.fetch(url, tmp_path / "corpus", _sha256(content))
    assert _tree(tmp_path) == {}
    with _server(content) as (url, _):
        download.fetch(url, tmp_path / "corpus", _sha256(content))
    assert _tree(tmp_path / "corpus") == FILES


def test_a_missing_page_and_a_missing_server_are_told(tmp_path):
    with _server(b"") as (url, _), pytest.raises(UserError, match="cannot download .*404"):
        download.fetch(url + "elsewhere", tmp_path / "corpus", "0" * 64)
    with pytest.raises(UserError, match="cannot download") as caught:
        download.fetch(url, tmp_path / "corpus", "0" * 64)
    assert "\n" not in caught.value.command_line
    with pytest.raises(UserError, match="cannot download"):
        download.fetch("no address", tmp_path / "corpus", "0" * 64)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("stands in the way")
    with pytest.raises(UserError, match="check the folder"):
        download.fetch("http://127.0.0.1:9/archive", tmp_path / "file" / "corpus", "0" * 64)


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("keep")
    download.fetch("http://127.0.0.1:9/archive", tmp_path, "0" * 64)
    assert _tree(tmp_path) == {"mine": b"keep"}


def _special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def _zip_link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


HOSTILE = {
    "climbing": (_tar({"yes/a.wav": b"1", "../evil": b"2"}), "a path outside the folder"),
    "climbing inside": (_tar({"yes/../../evil": b"2"}), "a path outside the folder"),
    "absolute": (_tar({EVIL: b"2"}), "a path outside the folder"),
    "drive": (_tar({"C:\\evil": b"2"}), "a path outside the folder"),
    "backslashes": (_tar({"..\\evil": b"2"}), "a path outside the folder"),
    "symlink": (_tar({}, (_special("out", tarfile.SYMTYPE, "../.."),)), "a link or a device"),
    "hard link": (_tar({}, (_special("out", tarfile.LNKTYPE, "/etc/passwd"),)), "a link or a device"),
    "device": (_tar({}, (_special("zero", tarfile.CHRTYPE),)), "a link or a device"),
    "pipe": (_tar({}, (_special("pipe", tarfile.FIFOTYPE),)), "a link or a device"),
    "bomb": (_tar({"zeros": bytes(3_000_000)}), "more than 1000 files or 2000000 bytes"),
    "many": (_tar({str(number): b"" for number in range(1001)}), "more than 1000 files or 2000000 bytes"),
    "zip climbing": (_zip({"../evil": b"2"}), "a path outside the folder"),
    "zip absolute": (_zip({EVIL: b"2"}), "a path outside the folder"),
    "zip link": (_zip_link(), "a link or a device"),
    "zip bomb": (_zip({"zeros": bytes(3_000_000)}), "more than 1000 files or 2000000 bytes"),
    "cut tar": (_tar({**FILES, "random": os.urandom(50_000)})[:30_000], "is damaged"),
    "cut zip": (_zip({**FILES, "random": os.urandom(50_000)})[:30_000], "is damaged"),
    "a file twice as folder": (_tar({"yes": b"1", "yes/a.wav": b"2"}), "cannot unpack"),
    "no archive": (b"<html>moved</html>", "is damaged"),
    "nothing": (b"", "is damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_damaged_archive_is_refused_and_leaves_nothing(tmp_path, name):
    content, words = HOSTILE[name]
    root = tmp_path / "inside" / "corpus"
    with _server(content) as (url, _), pytest.raises(UserError) as caught:
        download.fetch(url, root, _sha256(content), max_files=1000, max_bytes=2_000_000)
    assert words in caught.value.command_line and "\n" not in caught.value.command_line, caught.value
    # Only the archive itself is there, beside the folder that was to be filled.
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert set(_tree(tmp_path)) <= {f"inside/corpus.download/{_sha256(content)[:16]}.archive"}
    assert not os.path.exists(EVIL) and not root.exists()


def test_an_archive_that_does_not_fit_on_the_disk_is_refused(tmp_path, monkeypatch):
    content = _tar(FILES)
    (tmp_path / "archive").write_bytes(content)
    usage = type("Usage", (), {"free": 50_000})
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="more than the 50000 bytes that are free"):
        download.unpack(tmp_path / "archive", tmp_path / "unpacked")
    assert not (tmp_path / "unpacked").exists()
    monkeypatch.setattr(usage, "free", 5)
    with _server(content) as (url, _), pytest.raises(UserError, match=f"needs {len(content)} bytes, but 5 are free"):
        download.fetch(url, tmp_path / "corpus", _sha256(content))


def _zip_with(position: int, value: bytes) -> bytes:
    """Return a zip in whose directory a field is changed."""
    content = _zip({"a.wav": os.urandom(1000)})
    begin = content.index(b"PK\1\2") + position
    return content[:begin] + value + content[begin + len(value) :]


def _broken_zip(compression: int) -> bytes:
    """Return a zip whose compressed content is overwritten."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("a.wav", b"a text " * 1000)
    content = buffer.getvalue()
    return content[:45] + b"\xff" * 40 + content[85:]


DAMAGED = {
    "encrypted": (_zip_with(8, b"\1"), "is damaged"),
    "an unknown compression": (_zip_with(10, b"\x63"), "is damaged"),
    "an offset that leads nowhere": (_zip_with(42, b"\xff\xff\xff\x7f"), "is damaged"),
    "broken LZMA": (_broken_zip(zipfile.ZIP_LZMA), "is damaged"),
    "broken bzip2 in a zip": (_broken_zip(zipfile.ZIP_BZIP2), "is damaged"),
    "a name that is too long": (_tar({"a" * 300: b"1"}), "cannot unpack"),
    "a folder's own name": (_tar({".": b"1"}), "cannot unpack"),
    "broken bzip2": (_tar(FILES, mode="w:bz2")[:100] + bytes(200), "is damaged"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_of_any_kind_is_one_line_and_leaves_nothing(tmp_path, name):
    content, words = DAMAGED[name]
    (tmp_path / "archive").write_bytes(content)
    with refused(words) as caught:
        download.unpack(tmp_path / "archive", tmp_path / "unpacked")
    assert caught.value.command_line.isprintable() and not (tmp_path / "unpacked").exists()

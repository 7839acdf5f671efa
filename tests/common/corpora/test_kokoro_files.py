"""Where the files of Kokoro come from."""

import importlib.util
import types
from pathlib import Path

import pytest

from common.corpora import kokoro_files
from common.errors import UserError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "voices").mkdir()
    (tmp_path / "voices" / "af_sky.bin").write_bytes(b"voice")
    (tmp_path / "model.onnx").write_bytes(b"network")
    return tmp_path


def test_missing_parts_are_told(folder, monkeypatch):
    real = importlib.util.find_spec
    known = {"onnxruntime": object()}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: known.get(name) if "rokoko" not in name else real(name)
    )
    kokoro_files.prepare(folder)
    for voice in (folder / "voices").iterdir():
        voice.unlink()
    with pytest.raises(UserError, match=r"has no voices .* add (--)?download"):
        kokoro_files.prepare(folder)
    (folder / "model.onnx").unlink()
    with pytest.raises(UserError, match=r"has no ONNX file of Kokoro-82M; give its folder by (--)?kokoro_dir"):
        kokoro_files.prepare(folder)
    known.clear()
    with pytest.raises(UserError, match="needs onnxruntime; install the extra kokoro"):
        kokoro_files.prepare(folder)


def test_packages_with_another_network_are_refused(tmp_path, monkeypatch):
    (tmp_path / "part.bin").write_bytes(b"part")
    spec = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(UserError, match="another network"):
        kokoro_files.prepare(tmp_path / "kokoro")
    assert not (tmp_path / "kokoro").exists()


def test_the_download_needs_npm_and_the_right_archive(folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    for voice in (folder / "voices").iterdir():
        voice.unlink()
    (folder / "voices").rmdir()
    monkeypatch.setattr(kokoro_files.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="needs npm"):
        kokoro_files.prepare(folder, fetch=True)
    monkeypatch.setattr(kokoro_files.shutil, "which", lambda name: name)

    def pack(command, cwd, **_):
        Path(cwd, "kokoro-js.tgz").write_bytes(b"something else")
        return types.SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(kokoro_files.subprocess, "run", pack)
    with pytest.raises(UserError, match="differs from the expected one"):
        kokoro_files.prepare(folder, fetch=True)
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx"]

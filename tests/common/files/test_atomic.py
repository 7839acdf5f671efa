import concurrent.futures
import errno
import json
import os
import re
import resource
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from common import audio, files
from common.errors import UserError, nearest
from common.export import saved_model
from common.export.graphs import Graph
from common.reporting import plots


def test_a_file_appears_whole_and_nothing_else_is_left(tmp_path):
    files.write_text(tmp_path / "new" / "a.txt", "ü")
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "ü"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        files.write_text(tmp_path / "file" / "a.txt", "")


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path):
    for content in ("old", "new"):
        with files.atomic_folder(tmp_path / "model.v1") as temporary:
            (temporary / content).write_text(content)
    assert [path.name for path in (tmp_path / "model.v1").iterdir()] == ["new"]
    with pytest.raises(ZeroDivisionError), files.atomic_folder(tmp_path / "model.v1") as temporary:
        (temporary / "half").write_text("half")
        raise ZeroDivisionError
    assert [path.name for path in (tmp_path / "model.v1").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model.v1"]


WRITE = """
import sys, time
from common import files
with files.atomic_path(sys.argv[1] + "/a.txt"), files.atomic_folder(sys.argv[1] + "/b"):
    print("writing", flush=True)
    time.sleep(100)
"""


def test_what_a_killed_process_was_writing_is_removed_and_what_a_living_one_writes_stays(tmp_path, monkeypatch):
    (tmp_path / ".somebody_elses.1234abcd.txt").touch()
    writers = []
    for _ in range(2):
        writers.append(
            subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        )
        assert writers[-1].stdout.readline() == "writing\n"
    before = set(tmp_path.iterdir())
    assert len(before) == 5
    writers[0].kill()
    writers[0].communicate()
    files.write_text(tmp_path / "c.txt", "")
    # Two of the living writer.
    assert len(set(tmp_path.iterdir()) & before) == 3
    writers[1].kill()
    writers[1].communicate()
    monkeypatch.setattr(files.atomic, "_tidied", set())  # as in another process
    files.write_text(tmp_path / "c.txt", "")
    assert {path.name for path in tmp_path.iterdir()} == {"c.txt", ".somebody_elses.1234abcd.txt"}


def test_many_write_and_tidy_at_once(tmp_path):
    def write(number):
        files.write_text(tmp_path / f"{number}.txt", "")
        with files.atomic_folder(tmp_path / f"{number}"):
            files.remove_leftovers(tmp_path)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(400)))
    assert len(list(tmp_path.iterdir())) == 800


LONG_NAMES = {
    "letters": "a" * 251 + ".txt",
    "Chinese": "你" * 83 + ".txt",
    "no suffix": "a" * 255,
    "the suffix": "a." + "b" * 253,
    "bytes": "caf\udce9" * 62 + ".txt",
    "line break": "a\nb" * 80 + ".txt",
}


@pytest.mark.parametrize("name", LONG_NAMES.values(), ids=LONG_NAMES)
def test_a_name_that_the_file_system_takes_can_be_written_and_its_leftover_is_found(name, tmp_path):
    files.write_text(tmp_path / name, "text")
    with files.atomic_folder(tmp_path / "folder" / name) as folder:
        (folder / "a.txt").touch()
    assert {path.name for path in tmp_path.iterdir()} == {name, "folder"}
    with files.atomic_path(tmp_path / name) as temporary:
        assert len(os.fsencode(temporary.name)) < 143
        leftover = tmp_path / re.sub(r"partial-\w{8}", "partial-00000000", temporary.name)
        leftover.touch()
        files.remove_leftovers(tmp_path)
        assert not leftover.exists() and temporary.exists()


def test_a_name_is_shortened_only_where_it_must_be_and_stays_unique(tmp_path):
    assert files.fitting_name("a" * 251, ".txt") == "a" * 251 + ".txt"
    stems = ["a" * 252, "a" * 253, "你" * 90, "你" * 90 + "好", "caf\udce9" * 70, "é" * 200]
    names = [files.fitting_name(stem, ".txt") for stem in stems]
    assert len(set(names)) == len(names)
    for stem, name in zip(stems, names, strict=True):
        assert 251 < len(os.fsencode(name)) <= 255
        assert stem.startswith(name.rsplit("-", 1)[0]) and name.endswith(".txt")
        files.write_text(tmp_path / name, "")
    assert len(os.fsencode(files.fitting_name("é" * 200, ".txt", room=30))) <= 225


@pytest.fixture
def full_disk():
    """As on a full disk, no file grows beyond 20 kB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def write_records(path):
    with files.atomic_path(path) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
        writer.write(bytes(100_000))


def write_arrays(path):
    with files.atomic_path(path) as temporary:
        np.savez(temporary, a=np.zeros(10_000), b=np.zeros(10_000))


def write_model(path):
    model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(100)])
    if path.suffix:
        with files.atomic_path(path) as temporary:
            model.save(temporary)
    else:
        saved_model.write(model, Graph(lambda x: {"y": model(x)}, tf.TensorSpec((None, 100), name="x")), path)


WRITERS = {
    "a.txt": lambda path: files.write_text(path, "x" * 100_000),
    "a.npz": write_arrays,
    "a.tfrecord": write_records,
    "a.keras": write_model,
    "saved_model": write_model,
    "a.png": lambda path: plots.save(
        plots.pictures(np.random.default_rng(0).normal(-40, 20, (1, 99, 99)), ["a"], 1), path
    ),
    **{
        f"a.{suffix}": lambda path: audio.write(path, np.random.default_rng(0).normal(0, 0.1, 200_000), 16000)
        for suffix in ("wav", "flac", "ogg")
    },
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_nothing_whatever_writes(name, tmp_path, full_disk):
    with pytest.raises(UserError, match=f"cannot write .*{name}: .*; check the folder and the free space"):
        WRITERS[name](tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_a_disk_refuses_is_found_behind_other_errors():
    try:
        try:
            raise OSError(errno.EROFS, "Read-only file system")
        except OSError:
            raise AttributeError("fileno") from None
    except AttributeError as error:
        assert files.refusal(error) == "Read-only file system"
    assert files.refusal(tf.errors.ResourceExhaustedError(None, None, "a; No space left on device")) is not None
    assert files.refusal(tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")) is None
    assert files.refusal(FileNotFoundError(errno.ENOENT, "No such file")) is None


def test_a_folder_is_tried_before_long_work(tmp_path):
    files.check_writable(tmp_path / "not" / "there")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", "/proc/quartet"):
        with pytest.raises(UserError, match="cannot write"):
            files.check_writable(folder)
    assert os.listdir(tmp_path) == ["file"]


def test_json_takes_numpy_and_has_no_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": np.float32(0.5), "b": np.array([1.0, np.nan]), "c": float("inf")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 0.5, "b": [1.0, None], "c": None}


def test_nearest_is_silent_when_nothing_comes_close():
    assert nearest("xyz", ["epochs", "seed"]) == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ', "Expecting value"),
        (b"\xff\xfe", "codec"),
        (b"9" * 5000, "digits"),
    ],
)
def test_json_that_is_none_is_told(tmp_path, content, reason):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=f"cannot read .*a.json: .*{reason}.*; make it again"):
        files.read_json(tmp_path / "a.json", "make it again")
    with pytest.raises(FileNotFoundError):
        files.read_json(tmp_path / "absent.json", "make it again")


def test_what_an_error_quotes_cannot_move_the_cursor_or_fill_the_screen():
    assert str(UserError("a\n  \x1b[2J\x07\ud800 ü")) == "a \\x1b[2J\\x07\\ud800 ü"
    long = str(UserError("begin " + "x" * 100_000 + " end"))
    assert len(long) < 1600 and long.startswith("begin x") and long.endswith("x end")


def test_what_is_called_after_a_file_of_the_longest_name_can_be_written(tmp_path):
    assert files.beside(tmp_path / "evaluation", "_roc.png") == tmp_path / "evaluation_roc.png"
    paths = {files.beside(tmp_path / (letter * 250), f"_{name}.csv") for letter in "ab" for name in ("roc", "tracks")}
    for path in paths:
        files.write_text(path, "")
    assert set(tmp_path.iterdir()) == paths and len(paths) == 4


def test_bytes_of_a_name_come_back_in_text(tmp_path):
    files.write_text(tmp_path / "labels.txt", "caf\udce9\n")
    assert (tmp_path / "labels.txt").read_bytes() == b"caf\xe9\n"

"""The table of corpora."""

import importlib
import inspect
import shutil
import subprocess
import sys

import pytest

from common import corpora
from common.errors import UserError

TASKS = ("kws", "counting", "separation", "generation")
EVERY = [(task, name) for task in TASKS for name in corpora.names(task)]


def test_the_names_are_those_of_the_flags():
    assert corpora.names("kws") == ("synthetic", "speech_commands", "folder", "clusters")
    assert corpora.names("counting") == ("synthetic", "librispeech", "folder", "prepared")
    assert corpora.names("separation") == ("synthetic", "musdb", "mir1k", "folder")
    assert corpora.names("generation") == ("synthetic", "gtzan", "folder")
    for task in TASKS:
        config = importlib.import_module(f"{task}.config")
        assert getattr(config, f"{task.upper()}_CORPORA") == corpora.names(task)


def test_names_are_known_without_what_reads_corpora():
    heavy = ("pandas", "librosa", "sklearn", "tensorflow", "keras", "soundfile")
    program = (
        f"import sys; from common import corpora; corpora.names('kws'); print([n for n in {heavy} if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_every_module_is_a_corpus(task, name):
    module = corpora.module(task, name)
    (root, *options) = inspect.signature(module.index).parameters.values()
    assert root.name == "root"
    assert hasattr(module, "FOLDER") or module.LAYOUT
    if hasattr(module, "download"):
        assert next(iter(inspect.signature(module.download).parameters)) == "root"
        assert module.FOLDER


@pytest.mark.parametrize(("task", "name"), [(task, "folder") for task in TASKS] + [("separation", "musdb")])
def test_a_folder_that_nobody_named_is_told_with_what_it_should_hold(task, name):
    with pytest.raises(UserError) as told:
        corpora.index(task, name)
    assert f"--corpus={name} needs --data_dir" in told.value.command_line
    assert corpora.module(task, name).LAYOUT in str(told.value)


@pytest.mark.parametrize(("draw_missing", "expected"), [(True, {"train", "validation", "test"}), (False, {"train"})])
def test_a_corpus_takes_the_options_that_it_knows(corpus_dir, tmp_path, draw_missing, expected):
    shutil.copytree(corpus_dir, tmp_path / "train")
    table = corpora.index("kws", "folder", str(tmp_path), draw_missing=draw_missing, language="en", num_songs=3)
    assert set(table["split"]) == expected


def test_what_has_no_address_is_not_fetched(corpus_dir):
    with pytest.raises(UserError, match="the corpus folder has no download address"):
        corpora.index("kws", "folder", str(corpus_dir), download=True)


def test_a_corpus_that_was_checked_ahead_is_listed_once(tmp_path):
    for name in ("yes/a", "yes/b", "yes/c", "no/a", "no/b", "no/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.wav").touch()
    with corpora.ahead():
        table = corpora.index("kws", "folder", str(tmp_path))
    assert corpora.index("kws", "folder", str(tmp_path)) is table
    (tmp_path / "no" / "d.wav").touch()
    assert len(corpora.index("kws", "folder", str(tmp_path))) == len(table) + 1

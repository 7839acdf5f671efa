"""What a run directory tells before TensorFlow is loaded."""

import dataclasses

import pytest

import quartet
from common import config as configs
from common import run_folders
from common.errors import UserError
from kws.config import TASK, VARIANTS, Config

TINY = VARIANTS["tiny"]


@pytest.fixture
def folder(tmp_path):
    configs.save(TINY, TASK, "tiny", tmp_path / "run" / "config.json")
    return tmp_path / "run"


def test_a_run_is_resumed_with_its_own_configuration_only(folder):
    run_folders.check_usable(folder)
    run_folders.check_resumable(folder, TINY, TASK)
    run_folders.check_resumable(folder.parent / "new", TINY, TASK)
    longer = dataclasses.replace(TINY, epochs=9)
    with pytest.raises(UserError, match=rf"was trained with epochs={TINY.epochs} \(now 9\)"):
        run_folders.check_resumable(folder, longer, TASK)
    run_folders.check_resumable(folder, longer, TASK, ignored=("epochs",))
    with pytest.raises(UserError, match='belongs to the task "kws", not "counting"'):
        run_folders.check_resumable(folder, TINY, "counting")


def test_what_training_fills_in_is_not_compared(tmp_path):
    measured = dataclasses.replace(TINY, words=("no", "yes"), precision="mixed_bfloat16", jit_compile=True)
    configs.save(measured, TASK, "tiny", tmp_path / "config.json")
    run_folders.check_resumable(tmp_path, dataclasses.replace(TINY, precision="auto"), TASK)
    with pytest.raises(UserError, match="precision=mixed_bfloat16 .now float32., jit_compile=True .now False"):
        run_folders.check_resumable(tmp_path, TINY, TASK)


def test_another_spelling_of_a_path_is_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (earlier, now) = (dataclasses.replace(TINY, data_dir=path) for path in ("words", str(tmp_path / "words")))
    run_folders.refuse_changes(tmp_path, earlier, now)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="run_dir: .*file is a file; expected a folder"):
        run_folders.check_usable(tmp_path / "file")
    (tmp_path / "model.keras").touch()
    with pytest.raises(UserError, match="is not a run: config.json is missing"):
        run_folders.check_usable(tmp_path)


def test_a_run_without_weights_is_refused(folder):
    with pytest.raises(UserError, match=r"model.keras does not exist: the run has not completed an epoch yet"):
        run_folders.load(Config, TASK, folder)
    (folder / "model.keras").touch()
    assert run_folders.load(Config, TASK, folder) == TINY


def test_a_file_of_a_run_names_the_run(folder):
    weights = folder / "model.keras"
    weights.touch()
    for load in (quartet.load, lambda path: run_folders.load(Config, TASK, path)):
        with pytest.raises(UserError, match=rf"model.keras is a file, expected .* folder: run_dir={folder}$"):
            load(weights)
    (folder.parent / "a.txt").touch()
    with pytest.raises(UserError, match="give the folder that a training made"):
        quartet.load(folder.parent / "a.txt")

import importlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from common.cli import verbs

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("task", verbs.VERBS)
def test_every_command_of_a_task_is_listed(task, capsys):
    assert verbs.run([task]) == 0
    lines = capsys.readouterr().out.splitlines()
    commands = {path.stem for path in (ROOT / task).glob("*.py") if "\ndef define_flags(" in path.read_text()}
    assert commands == set(verbs.VERBS[task])
    for name in commands:
        purpose = importlib.import_module(f"{task}.{name}").__doc__.splitlines()[0]
        assert any(line.startswith(f"  quartet {task} {name} ") and purpose in line for line in lines)


def test_tasks_are_listed(capsys):
    assert verbs.run(["--version"]) == 0
    assert capsys.readouterr().out == f"{metadata.version('quartet-audio')}\n"
    assert verbs.run(["help", "kws"]) == 0
    assert "quartet kws train" in capsys.readouterr().out
    assert verbs.run([]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == list(verbs.VERBS)


def test_what_is_not_there_is_one_line(capsys):
    assert verbs.run(["kwz"]) == 2
    assert "there is no task 'kwz'; expected one of kws, counting, separation, generation. Did you mean \"kws\"?" in (
        capsys.readouterr().err
    )
    assert verbs.run(["kws", "predictt"]) == 2
    assert "kws has no command 'predictt'; expected one of train, " in capsys.readouterr().err
    assert verbs.run(["kws", "predict", "--run_dirr=a"]) == 2
    assert "Did you mean: run_dir?" in capsys.readouterr().err


def test_commands_run_from_any_folder_also_beside_another_package_called_common(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").touch()
    script = Path(sys.executable).with_name("quartet")
    if not script.exists():
        pytest.skip("the command quartet is not installed: run make setup again")
    done = subprocess.run([script, "counting", "predict", "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "--hop_seconds" in done.stdout


def test_python_m_lists_the_commands_of_a_task():
    done = subprocess.run([sys.executable, "-m", "separation"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "python -m separation.predict" in done.stdout


@pytest.mark.parametrize(
    ("file", "module"),
    [
        *((f"{task}/train.py", f"{task}.train") for task in verbs.VERBS),
        ("kws", "kws"),
        ("quartet/__main__.py", "quartet"),
        ("common/data_service.py", "common.data_service"),
    ],
)
def test_a_file_that_is_run_by_its_path_says_how_to_run_it(file, module, tmp_path):
    done = subprocess.run([sys.executable, ROOT / file, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == f"error: {ROOT / file} is part of a package; run python -m {module} in {ROOT}\n"


def test_the_files_that_say_so_are_the_same_everywhere():
    texts = {(ROOT / package / "common.py").read_text() for package in (*verbs.VERBS, "common", "quartet")}
    assert len(texts) == 1

"""What flags and folders tell is refused before TensorFlow is loaded, in all tasks alike."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.cli import verbs

ROOT = Path(__file__).resolve().parents[3]
SAVED = ROOT / "tests" / "saved"
OTHER = {"kws": "counting", "counting": "separation", "separation": "generation", "generation": "kws"}
# Runs commands in one process, and prints for each its exit code and last line, and whether TensorFlow was loaded.
PROGRAM = """
import contextlib, importlib, io, json, logging, sys
from common.cli import app
for name, *arguments in json.load(sys.stdin):
    module, errors = importlib.import_module(name), io.StringIO()
    with contextlib.redirect_stderr(errors):
        code = app.run(module.main, module.define_flags, arguments)
    print(json.dumps([code, errors.getvalue().splitlines()[-1], "tensorflow" in sys.modules]))
"""


def outcomes(commands: list[list[str]], folder: Path) -> list[tuple[int, str, bool]]:
    """Run commands in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(commands),
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def refused(expected: dict[tuple[str, ...], str], folder: Path) -> None:
    """Check that commands are refused by lines with the given texts, and that TensorFlow is not loaded."""
    found = outcomes([list(command) for command in expected], folder)
    for (command, text), (code, line, loaded) in zip(expected.items(), found, strict=True):
        assert code == 2 and not loaded, (command, line)
        assert line.startswith("error: ") and text in line, (command, line)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "empty").mkdir()
    (tmp_path / "untrained").mkdir()
    for task in verbs.VERBS:
        (tmp_path / "untrained" / task).mkdir()
        (tmp_path / "untrained" / task / "config.json").write_bytes((SAVED / task / "config.json").read_bytes())
    return tmp_path


@pytest.mark.parametrize("task", verbs.VERBS)
def test_train_is_refused_early(task, folder):
    train, new = f"{task}.train", "--run_dir=new"
    refused(
        {
            (train, "--corpus=folder", new): "--corpus=folder needs --data_dir",
            (train, "--corpus=folder", "--data_dir=missing", new): "missing is not a folder; expected",
            (train, "--corpus=folder", "--data_dir=file", new): "file is not a folder; expected",
            (train, "--corpus=folder", "--data_dir=empty", new): "empty has no ",
            (train, "--corpus=missing", new): "--corpus: expected one",
            (train, "--run_dir=file"): "--run_dir: file is a file",
            (train, f"--run_dir={SAVED / OTHER[task]}"): f'belongs to the task "{OTHER[task]}"',
            (train, f"--run_dir={SAVED / task}", "--epochs=77"): "(now 77)",
            (train, new, "--data_service=localhost"): "--data_service: expected HOST:PORT",
            (train, new, "--shards_dir=file"): "file",
        },
        folder,
    )
    assert not (folder / "new").exists()


@pytest.mark.parametrize("task", ["kws", "counting"])
def test_the_other_folders_of_a_training_are_refused_early(task, folder):
    train, new = f"{task}.train", "--run_dir=new"
    refused(
        {
            (train, new, "--noise_dir=missing"): "missing is not a folder",
            (train, new, "--model=embedding", "--embedding=missing"): "missing is not a folder",
            (train, new, "--model=embedding"): "--model=embedding needs --embedding",
        },
        folder,
    )


@pytest.mark.parametrize("task", verbs.VERBS)
def test_what_uses_a_run_is_refused_early(task, folder):
    expected = {}
    for verb in verbs.VERBS[task][1:4]:
        command = f"{task}.{verb}"
        input = ("file",) if verb == "predict" else ()
        expected |= {
            (command, "--run_dir=missing", *input): "config.json does not exist",
            (command, f"--run_dir={SAVED / OTHER[task]}", *input): "belongs to the task",
            (command, f"--run_dir=untrained/{task}", *input): "has not completed an epoch yet",
        }
    for verb in ("evaluate", "export"):
        command, run = f"{task}.{verb}", f"--run_dir={SAVED / task}"
        expected |= {
            (command, run, "--corpus=folder", "--data_dir=missing"): "missing is not a folder; expected",
            (command, run, "--data_dir=file", "--corpus=folder"): "file is not a folder; expected",
            (command, run, "--corpus=missing"): "--corpus: expected one",
        }
    expected[f"{task}.export", f"--run_dir={SAVED / task}", "--formats="] = "--formats: unknown"
    refused(expected, folder)


def test_longer_commands_are_refused_early(folder):
    output = "--output_dir=new"
    expected = {}
    for command in ("kws.compare", "kws.crossvalidate", "counting.reproduce"):
        expected |= {
            (command, output, "--corpus=missing"): "--corpus: expected one",
            (command, output, "--epochs=0"): "--epochs: expected at least 1",
            (command, output, "--corpus=folder"): "needs --data_dir",
            (command, output, "--corpus=folder", "--data_dir=missing"): "missing is not a folder",
            (command, "--output_dir=file"): "file",
        }
    expected |= {
        ("kws.compare", "--variants=tin"): "got 'tin'. Did you mean \"tiny\"?",
        ("kws.crossvalidate", "--num_folds=2"): "--num_folds: expected at least 3",
        ("kws.reproduce", "--rows=7"): "--rows: expected any of 5x128",
        ("kws.reproduce", "--data_dir=missing", output): "missing is not a folder",
        ("counting.reproduce", "--networks=x"): "--networks: expected any of m3",
        ("counting.prepare", output, "--corpus=folder"): "needs --data_dir",
        ("counting.prepare", "--output_dir=file"): "file",
        (
            "generation.evaluate",
            f"--run_dir={SAVED / 'generation'}",
            "--corpus=synthetic",
            "--epoch=77",
        ): "no snapshot of",
        ("separation.predict", f"--run_dir={SAVED / 'separation'}", "file"): "1 of the songs could not be separated",
        ("kws.predict", f"--run_dir={SAVED / 'kws'}", "file"): "1 of the recordings could not be processed",
        ("counting.predict", f"--run_dir={SAVED / 'counting'}", "file"): "1 of the recordings could not be",
    }
    refused(expected, folder)


def test_a_value_that_a_flag_does_not_take_is_named_with_what_is_expected(folder):
    refused(
        {
            ("kws.train", "--epochs=abc"): "--epochs: expected an integer, got 'abc'.",
            ("kws.train", "--learning_rate=fast"): "--learning_rate: expected a number, got 'fast'.",
            ("kws.train", "--unknown=maybe"): "--unknown: expected true or false, got 'maybe'.",
            (
                "kws.train",
                "--on_nan=stopp",
            ): "--on_nan: expected one of stop, restore, got 'stopp'. Did you mean \"stop\"?",
            ("kws.evaluate", "--num_shifts=500"): "--num_shifts: expected an integer in the range [1, 101], got '500'.",
            ("kws.predict", "--threshold=nan"): "--threshold: expected a finite number, got nan",
        },
        folder,
    )

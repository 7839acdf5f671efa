"""An entry point for the tests of `app.run`."""

import errno
import os
import subprocess
import sys

import pytest
import tensorflow as tf
from absl import flags as absl_flags

from common.cli import app
from common.errors import UserError
from tests import patience


def define_flags(flag_values):
    absl_flags.DEFINE_integer("epochs", 3, "passes over the data", lower_bound=1, flag_values=flag_values)
    absl_flags.DEFINE_bool("resume", True, "go on", flag_values=flag_values)


def run(main, *arguments):
    main.__module__ = __name__
    return app.run(main, define_flags, arguments)


def test_flags_and_arguments_reach_main():
    seen = []
    assert (
        run(lambda flags, arguments: seen.append((flags.epochs, flags.resume, arguments)), "--epochs=5", "a.wav") == 0
    )
    assert seen == [(5, True, ["a.wav"])]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--epoch=5"], "Did you mean: epochs?"), (["--epochs=0"], "epochs"), (["--epochs=x"], "epochs")],
)
def test_a_wrong_flag_is_one_line_and_exit_code_2(arguments, expected, capsys):
    assert run(lambda flags, arguments: pytest.fail("main ran"), *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert expected in error
    assert error.count("\n") == 1


def test_an_expected_error_is_one_line_and_exit_code_2(capsys):
    def main(flags, arguments):
        raise UserError("the folder x\nis empty")

    assert run(main) == 2
    assert capsys.readouterr().err == "error: the folder x is empty\n"


def test_a_full_disk_is_one_line_and_exit_code_2(capsys):
    def main(flags, arguments):
        raise OSError(errno.ENOSPC, "No space left on device", "out.wav")

    assert run(main) == 2
    assert "out.wav: No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            tf.errors.ResourceExhaustedError(None, None, "{{function_node f}} /runs/a/events; No space left on device"),
            "error: /runs/a/events: No space left on device; free some space or choose another folder\n",
        ),
        (
            RuntimeError("Unable to flush file (errno = 27, error message = 'File too large')"),
            "error: a file: File too large; free some space or choose another folder\n",
        ),
    ],
)
def test_a_full_disk_is_one_line_also_where_other_libraries_meet_it(error, expected, capsys):
    def main(flags, arguments):
        raise error

    assert run(main) == 2
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda folder: (folder / ("x" * 300)).read_text(), "File name too long; give a shorter one"),
        (
            lambda folder: (folder / "file" / "a").read_text(),
            "Not a directory; a file is where a folder was expected",
        ),
        (lambda folder: folder.read_text(), "Is a directory; a folder is where a file was expected"),
        (lambda folder: "caf\udce9.wav".encode(), "'caf\\udce9.wav' holds bytes that are not UTF-8; rename the file"),
        (lambda folder: (folder / "file").mkdir(), "File exists; a file is where a folder was expected"),
        (
            lambda folder: (folder / "circle").read_text(),
            "Too many levels of symbolic links; its links form a loop",
        ),
    ],
)
def test_a_path_that_cannot_be_is_one_line(make, expected, tmp_path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    assert run(lambda flags, arguments: make(tmp_path)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert expected in error
    assert error.count("\n") == 1


# Its answers are more than a pipe or a buffer holds.
PROGRAM = """
import sys
import kws
from common.cli import app
from common.errors import UserError

def main(flags, arguments):
    if "fail" in arguments:
        print("an answer ✗ caf\\udce9")
        raise UserError("a reason")
    for _ in range(20_000):
        print("an answer")

main.__module__ = "kws"
# One TensorFlow for all: a process of its own for each that lasts no longer than its answers.
import os
for line in sys.stdin.read().splitlines():
    arguments, *redirections = line.split("|")
    pid = os.fork()
    if not pid:
        for redirection in redirections:
            descriptor, target = redirection.split(">")
            if target == "pipe":
                read, write = os.pipe()
                os.close(read)
            else:
                write = os.open(target, os.O_WRONLY | os.O_CREAT)
            os.dup2(write, int(descriptor))
        sys.exit(app.run(main, lambda flag_values: None, arguments.split()))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), end=" ", flush=True)
"""


@pytest.mark.slow
def test_no_traceback_wherever_output_goes():
    ways = {
        "|1>pipe": 0,
        "--help|1>pipe": 0,
        "fail|1>pipe": 2,
        "fail|2>pipe|1>/dev/null": 2,
        "--unknown|2>pipe": 2,
        "|1>/dev/full": 2,
        "fail|1>/dev/full": 2,
        "fail|2>/dev/full|1>/dev/null": 2,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input="\n".join(ways).encode(), capture_output=True, timeout=patience.SECONDS
    )
    assert dict(zip(ways, map(int, done.stdout.split()), strict=True)) == ways
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr
    assert done.stderr.count(b"error: standard output: No space left on device") == 2


def test_answers_that_cannot_be_written_are_one_line(capsys, monkeypatch):
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert run(lambda flags, arguments: print("an answer")) == 2
    assert "No space left on device" in capsys.readouterr().err


def test_what_cannot_be_deterministic_is_one_line(capsys):
    def main(flags, arguments):
        raise tf.errors.UnimplementedError(
            None, None, "A deterministic GPU implementation of X is not available. Sorry."
        )

    assert run(main) == 2
    assert "of X is not available; leave --deterministic out" in capsys.readouterr().err


def test_a_defect_keeps_its_traceback():
    def main(flags, arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(main)


def test_control_c_says_that_the_same_command_goes_on(capsys):
    def main(flags, arguments):
        raise KeyboardInterrupt

    assert run(main) == 130
    assert "run the same command to resume" in capsys.readouterr().err


def test_help_shows_purpose_flags_and_defaults(capsys):
    assert run(lambda flags, arguments: pytest.fail("main ran"), "--help") == 0
    text = capsys.readouterr().out
    assert "An entry point for the tests" in text
    assert "--epochs" in text
    assert "passes over the data (default" in text
    assert "--[no]resume" in text


def test_arguments_are_refused_where_none_are_taken():
    with pytest.raises(UserError, match='unexpected "epochs=3"'):
        app.refuse_arguments(["epochs=3"])


@pytest.mark.slow
@pytest.mark.parametrize("inherited", [{}, {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}])
def test_tensorflow_loads_silently_and_with_onednn_unless_told_otherwise(inherited):
    """A process that a command starts inherits what the command has set."""
    names = ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")
    environment = {name: value for name, value in os.environ.items() if name not in names} | inherited
    program = (
        "from common import startup; startup.load_tensorflow(); import os; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == inherited.get("TF_ENABLE_ONEDNN_OPTS", "1")
    assert done.stderr == ""


@pytest.mark.slow
def test_notes_of_native_code_are_hidden_in_commands_only_and_errors_never():
    program = """
import os, sys
from common import startup
if sys.argv[1] == "command":
    startup.load_tensorflow()
with startup.without_notes():
    os.write(2, b"INFO: a note\\nan error\\n")
    print("python", file=sys.stderr)
print("after", file=sys.stderr)
"""
    shown = {}
    for kind in ("command", "notebook"):
        done = subprocess.run([sys.executable, "-c", program, kind], capture_output=True, text=True, check=True)
        shown[kind] = done.stderr.splitlines()
    assert shown["command"] == ["an error", "python", "after"]
    assert shown["notebook"] == ["INFO: a note", "an error", "python", "after"]


def test_flags_are_understood_before_anything_is_done(monkeypatch):
    def define(flag_values):
        absl_flags.DEFINE_string("output_dir", None, "a folder", flag_values=flag_values)
        absl_flags.DEFINE_list("stems", None, "names", flag_values=flag_values)

    seen = []
    monkeypatch.setenv("HOME", "/home/anna")
    arguments = ["--output_dir=~/stems", "--stems=voce\u0300"]
    assert app.run(lambda values, _: seen.append((values.output_dir, values.stems)), define, arguments) == 0
    assert seen == [("/home/anna/stems", ["voc\u00e8"])]


def test_an_argument_that_is_a_flag_of_the_command_is_named_as_one(capsys):
    def main(flags, arguments):
        raise UserError("epochs: expected at least 1, got 0")

    assert run(main) == 2
    assert capsys.readouterr().err == "error: --epochs: expected at least 1, got 0\n"


def test_who_calls_from_python_reads_names_of_arguments():
    error = UserError("--head=sex needs a table; leave out --[no]merge, or see `python -m counting.train --help`, a--b")
    assert str(error) == "head=sex needs a table; leave out merge, or see `python -m counting.train --help`, a--b"
    assert error.command_line.startswith("--head=sex")

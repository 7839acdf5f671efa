"""An entry point for the tests of `app.run`."""

import errno
import os
import subprocess
import sys

import pytest
import tensorflow as tf
from absl import flags as absl_flags

from common import app
from common.errors import UserError


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
    assert "the same command goes on" in capsys.readouterr().err


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


@pytest.mark.parametrize("inherited", [{}, {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}])
def test_tensorflow_loads_silently_and_with_onednn_unless_told_otherwise(inherited):
    """A process that a command starts inherits what the command has set."""
    names = ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS")
    environment = {name: value for name, value in os.environ.items() if name not in names} | inherited
    program = "import os, kws, tensorflow; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == inherited.get("TF_ENABLE_ONEDNN_OPTS", "1")
    assert done.stderr == ""

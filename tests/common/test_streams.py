"""Real programs are started by a shell that closes, fills or breaks what they write to."""

import os
import subprocess
import sys

import pytest

from common import streams
from common.errors import UserError
from tests import patience

PREPARED = "from common import streams; streams.open_closed(); streams.prepare(); import sys; "


def run(program, redirection, **environment):
    """Return the exit code and what a program wrote to file descriptors 1 and 2, as far as they are left to it."""
    command = ["bash", "-c", f'set -o pipefail; "$0" -c "$1" {redirection}', sys.executable, PREPARED + program]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, timeout=patience.SECONDS)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_is_closed_leads_nowhere(closed):
    program = (
        "file = open('/dev/null'); assert file.fileno() > 2; print('a'); print('b', file=sys.stderr); sys.stdin.read()"
    )
    code, output, error = run(program, closed)
    assert code == 0
    assert output == (b"" if ">&-" in closed.replace("2>&-", "") else b"a\n")
    assert error == (b"" if "2>&-" in closed else b"b\n")


@pytest.mark.parametrize("refusing", ["2>/dev/full", "2> >(true)"])
def test_messages_that_cannot_be_told_end_nothing(refusing):
    program = "import time; time.sleep(0.2)\nfor _ in range(9): print('x' * 9999, file=sys.stderr)\nprint('done')"
    assert run(program, refusing) == (0, b"done\n", b"")


@pytest.mark.parametrize("refusing", [">/dev/full", "> >(true)"])
def test_a_log_that_nobody_reads_ends_nothing(refusing):
    program = "import time; time.sleep(0.2)\nwith streams.as_log():\n  for _ in range(9): print('x' * 5000)\n"
    assert run(program + "print('done', file=sys.stderr)", refusing) == (0, b"", b"done\n")


def test_a_terminal_holds_no_recording(monkeypatch):
    controller, terminal = os.openpty()
    with open(terminal) as file, open(controller, "rb"):
        monkeypatch.setattr("sys.stdin", file)
        with pytest.raises(UserError, match="standard input is a terminal"):
            streams.standard_input()


def test_a_closed_standard_input_is_empty():
    assert run("print(streams.standard_input().read())", "<&-") == (0, b"b''\n", b"")


def test_a_full_standard_output_is_named():
    program = (
        "\ntry: print('a', flush=True)\nexcept OSError as e: print(e.filename, streams.refused(e), file=sys.stderr)"
    )
    _, _, error = run(program + "\nstreams.drop_output()", ">/dev/full")
    assert error == b"standard output True\n"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "é ✗ ".encode() + b"\xe9"),
        ("ascii", rb"\xe9 \u2717 " + b"\xe9"),
        ("latin-1", b"\xe9 \\u2717 \xe9"),
        ("utf-16-le", r"é ✗ \udce9".encode("utf-16-le")),
    ],
)
def test_every_character_is_written_in_every_encoding(encoding, expected):
    program = r"print('\u00e9 \u2717 \udce9', end='')"
    assert run(program, "", PYTHONIOENCODING=encoding) == (0, expected, b"")

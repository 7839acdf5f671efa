import json
import os
import signal
import subprocess
import sys

import pytest

from common import interruption
from common.cli.json_list import JsonList, to_json
from tests import patience

NAME = "caf\udce9 ✗"
# Says that a row is there, then does what Ctrl-C cannot end at once, or ends it.
PROGRAM = """
import sys, time
from common import interruption, streams
from common.cli.json_list import JsonList
streams.prepare()
try:
    with interruption.raising(), JsonList() as rows:
        rows.add("caf\\udce9 ✗")
        print("ready", file=sys.stderr, flush=True)
        if sys.argv[1] == "fails":
            raise ValueError
        while True:
            try:
                time.sleep(3600)
            except KeyboardInterrupt:
                if sys.argv[1] == "ends":
                    raise
except KeyboardInterrupt:
    interruption.tell()
"""


def start(kind, **options):
    command = [sys.executable, "-c", PROGRAM, kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("kind", ["fails", "ends", "deaf"])
def test_the_list_is_whole_whatever_happens(kind):
    process = start(kind)
    assert process.stderr.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM if kind != "fails" else signal.SIGCONT)
    output, _ = process.communicate(timeout=patience.SECONDS)
    assert json.loads(output.decode("utf-8")) == [NAME]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_encoding_makes_utf8_json(encoding):
    output, _ = start("fails", env={**os.environ, "PYTHONIOENCODING": encoding}).communicate(timeout=patience.SECONDS)
    assert json.loads(output.decode("utf-8")) == [NAME]


@pytest.mark.parametrize("rows", [[], [1], [{"path": "a"}, {"path": "b"}]])
def test_rows_make_a_list(rows, capsys):
    with JsonList() as written:
        for row in rows:
            written.add(row)
    assert json.loads(capsys.readouterr().out) == rows
    assert interruption.last_words == []


def test_nothing_is_written_to_a_pipe_that_nobody_reads(capsys):
    with pytest.raises(BrokenPipeError), JsonList():
        raise BrokenPipeError
    assert capsys.readouterr().out == ""


def test_text_stays_readable():
    assert to_json("café") == '"café"'

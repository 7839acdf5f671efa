"""A child process that gives inputs to a reader, and tells its parent what happens."""

import contextlib
import io
import logging
import os
import resource
import shutil
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from benchmarks.fuzzing import array_mutations, mutations
from benchmarks.fuzzing.readers import READERS

# Beyond what the process has once it has read every good input.
MEMORY_BYTES = 2**30
_LONGEST_MESSAGE = 2000
_EVIL = Path("/tmp/evil_of_fuzz")


class Result(NamedTuple):
    """What happened to an input.

    Attributes:
        number: Of the input.
        kind: `read`, `refused`, or what went wrong.
        detail: The line of the error, or the end of the traceback.
    """

    number: int
    kind: str
    detail: str


def inputs_of(name: str, folder: Path) -> list[mutations.Input]:
    """Make the good inputs of a reader in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = READERS[name].seeds(folder)
    shutil.rmtree(folder)
    return found


def attempt(name: str, files: mutations.Input, sandbox: Path, number: int = 0) -> Result:
    """Give one input to a reader.

    Args:
        name: The reader.
        files: The input.
        sandbox: A folder that may be emptied; the input lies two folders below it, and nothing may appear beside.
        number: Of the input.
    """
    folder = sandbox / "inside" / "input"
    shutil.rmtree(sandbox, ignore_errors=True)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    captured = io.StringIO()
    try:
        with contextlib.redirect_stderr(captured), contextlib.redirect_stdout(io.StringIO()):
            READERS[name].read(folder)
        kind, detail = "read", ""
    except Exception as error:
        kind, detail = _judge(error)
    if "Traceback" in captured.getvalue():
        kind, detail = "printed traceback", captured.getvalue()[-600:]
    strays = [path for path in (_EVIL, array_mutations.CANARY) if path.exists()]
    strays += [path for level in (sandbox, sandbox / "inside") for path in level.iterdir()]
    strays = [str(path) for path in strays if path not in (sandbox / "inside", folder)]
    if strays:
        kind, detail = "file outside its folder", ", ".join(strays)
        shutil.rmtree(array_mutations.CANARY, ignore_errors=True)
        _EVIL.unlink(missing_ok=True)
    return Result(number, kind, detail)


def _judge(error: Exception) -> tuple[str, str]:
    """Say what an exception means: an error for the user, or a defect with the place where it is."""
    from common.errors import UserError

    if isinstance(error, UserError):
        message = str(error)
        clear = message.isprintable() and 20 < len(message) < _LONGEST_MESSAGE
        return ("refused", message[:200]) if clear else ("unclear error", f"{len(message)} letters: {message[:200]!r}")
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename and "fuzzing" not in frame.filename]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed((ours or frames)[-3:]))
    return type(error).__name__, f"{places}: {str(error)[:200]}"


def work(name: str, seed: int, first: int, last: int, sandbox: Path, connection: Connection) -> None:
    """Try the inputs `first` to `last` of a reader; sends each number before it is tried, and its `Result` after."""
    # What C libraries say goes to a file beside, for the parent to show when the process dies.
    log = os.open(sandbox.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(log, stream)
    sys.unraisablehook = lambda fault: print("Traceback", fault.exc_value, file=sys.stderr)
    threading.excepthook = lambda fault: print("Traceback", fault.exc_value, file=sys.stderr)
    logging.disable(logging.CRITICAL)
    good = inputs_of(name, sandbox)
    for files in good:
        result = attempt(name, files, sandbox)
        if result.kind != "read":
            raise ValueError(f"{name} does not read its good input {list(files)}: {result}")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_BYTES,) * 2)
    connection.send("ready")
    for number in range(first, last):
        connection.send(number)
        files = mutations.mutate(good, READERS[name].targets, name, seed, number)
        begin = time.perf_counter()
        result = attempt(name, files, sandbox, number)
        connection.send((result, time.perf_counter() - begin))
    connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    shutil.rmtree(sandbox, ignore_errors=True)

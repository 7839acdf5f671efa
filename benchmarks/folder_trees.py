"""Test all folder readers on random folder trees: `python -m benchmarks.folder_trees --num_trees=10000`.

A tree passes if every reader lists it or rejects it with a one-line error. Findings are: any other exception, an error
of several lines, a listed file that is hidden, listed twice or outside the folder, a different listing on the second
call, a table that changes when it is written and read, and any change in or next to the tree.

To reproduce a finding, use `--first=NUMBER --num_trees=1`; a tree depends only on the seed and its number.
"""

import collections
import hashlib
import logging
import os
import shutil
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import pandas as pd
from absl import flags

from benchmarks.fuzzing import trees
from common import audio, progress
from common.audio import listing
from common.cli import app, inputs
from common.config import FlagValues
from common.corpora import (
    esc50,
    folder,
    gtzan,
    librispeech,
    manifest,
    mir1k,
    musdb,
    music_folder,
    noise,
    speaker_folders,
    speech_commands,
    track_folders,
)
from common.data import shards, track_bank
from common.errors import UserError
from common.files.names import plain_name

_RATE = 8000
# One of this many trees is decoded too.
_DECODED_EVERY = 20
_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "folder": folder.index,
    "folder, words named": lambda root: folder.index(root, draw_missing=False, words=("yes", "no", "0", "17")),
    "speaker_folders": speaker_folders.index,
    "track_folders": track_folders.index,
    "music_folder": music_folder.index,
    "noise": noise.index,
    "speech_commands": speech_commands.index,
    "librispeech": librispeech.index,
    "esc50": esc50.index,
    "mir1k": mir1k.index,
    "musdb": musdb.index,
    "gtzan": gtzan.index,
    "inputs": lambda root: manifest.from_rows({"path": path} for _, path, _ in inputs.recordings([str(root)])),
}


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    flags.DEFINE_integer("num_trees", 10_000, "number of folder trees", 1, flag_values=flag_values)
    flags.DEFINE_integer("first", 0, "number of the first folder tree", 0, flag_values=flag_values)
    flags.DEFINE_integer("seed", 0, "seed of all folder trees", 0, flag_values=flag_values)


def main(flag_values: FlagValues, arguments: Sequence[str]) -> None:
    """Test all trees, and print a table and the findings."""
    app.refuse_arguments(arguments)
    logging.getLogger().setLevel(logging.CRITICAL)
    with progress.bar(flag_values.num_trees, "reading", "tree") as meter:
        table, findings = run(flag_values.first, flag_values.num_trees, flag_values.seed, meter.update)
    print(table.to_string(index=False))
    if findings:
        raise UserError(f"{len(findings)} findings; see above, and --first=NUMBER --num_trees=1")


def run(
    first: int, num_trees: int, seed: int, tell: Callable[[], object] = lambda: None
) -> tuple[pd.DataFrame, list[tuple[int, str, str]]]:
    """Test trees.

    Returns:
        One row per reader with the numbers of trees read and refused and the time in seconds; and the findings: number
        of the tree, reader and problem.
    """
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    findings: list[tuple[int, str, str]] = []
    for number in range(first, first + num_trees):
        with tempfile.TemporaryDirectory() as temporary:
            sandbox, work = Path(temporary) / "sandbox", Path(temporary) / "work"
            sandbox.mkdir()
            root = trees.make(sandbox, seed, number)
            before = snapshot(sandbox)
            readers = {**_READERS, "listing": _list}
            if number % _DECODED_EVERY == 0:
                readers |= {name: _decoding(decode, work) for name, decode in _DECODERS.items()}
            for name, read in readers.items():
                began = time.perf_counter()
                kind, detail = attempt(read, root, number % _DECODED_EVERY == 0 or read is _list)
                counts[name][kind] += 1
                counts[name]["seconds"] += time.perf_counter() - began
                if detail:
                    findings.append((number, name, detail))
                    print(f"tree {number}, {name}: {detail}", flush=True)
            if snapshot(sandbox) != before or set(os.listdir(temporary)) - {"sandbox", "work"}:
                findings.append((number, "all", "the tree has changed"))
                print(f"tree {number}: it has changed", flush=True)
            _make_removable(sandbox)
            shutil.rmtree(temporary, ignore_errors=True)
            os.makedirs(temporary, exist_ok=True)
        tell()
    columns = ("read", "refused", "finding")
    rows = [
        {"reader": name, **{column: own[column] for column in columns}, "seconds": round(own["seconds"], 1)}
        for name, own in counts.items()
    ]
    return pd.DataFrame(rows), findings


def attempt(read: Callable[[Path], pd.DataFrame], root: Path, thorough: bool = True) -> tuple[str, str]:
    """Read a tree; return whether it was read or refused, or the problem of the result or of its table."""
    try:
        table = read(root)
        wrong = _wrong_with(table, root) or (_read_back(table) if thorough else "")
    except UserError as error:
        return ("refused", "") if str(error).isprintable() else ("finding", f"several lines: {error!r}")
    except Exception as error:
        return "finding", "".join(traceback.format_exception(error)[-2:])
    return ("finding", wrong) if wrong else ("read", "")


def _wrong_with(table: pd.DataFrame, root: Path) -> str:
    named = (root / folder.TABLE).is_file() or (root / "meta").is_dir()
    once = table.drop_duplicates(["path", "start", "channel"])
    for column in ("label", "speaker", "track", "stem"):
        if not table[column].map(lambda text: text == plain_name(text)).all():
            return f"a {column} that is not as it is compared"
    if len(once) < len(table):
        return "listed twice"
    for path in () if named else map(Path, table["path"]):
        if not path.is_relative_to(root.absolute()):
            return f"outside: {path}"
        if any(part.startswith(".") for part in path.relative_to(root.absolute()).parts):
            return f"hidden: {path}"
    return ""


def _read_back(table: pd.DataFrame) -> str:
    with tempfile.TemporaryDirectory() as work:
        manifest.write(table, Path(work) / "manifest.csv")
        try:
            again = manifest.read(Path(work) / "manifest.csv")
        except UserError as error:
            return str(error)
    different = [
        name for name in manifest.COLUMNS if again[name].tolist() != table[name].tolist() and name != "duration"
    ]
    return f"another {different[0]} is read back" if different else ""


def _list(root: Path) -> pd.DataFrame:
    found = listing.find(root)
    targets = [os.path.realpath(path) for path in found.files]
    if len(set(targets)) < len(targets):
        raise ValueError("a recording is listed twice")
    if listing.find(root) != found:
        raise ValueError("the second listing differs")
    return manifest.from_rows({"path": path.absolute()} for path in found.files)


def _decode_clips(root: Path, work: Path) -> pd.DataFrame:
    table = folder.index(root, words=("yes", "no"))
    for split in sorted(set(table["split"])):
        shards.prepare(manifest.select(table, split), work, _RATE, clip_seconds=0.1, max_rejected=1.0)
    return table


def _decode_tracks(root: Path, work: Path) -> pd.DataFrame:
    table = track_folders.index(root)
    track_bank.prepare(table, work, ("vocals", "accompaniment"), _RATE, 1, max_rejected=1.0)
    return table


def _decode_music(root: Path, work: Path) -> pd.DataFrame:
    table = music_folder.index(root)
    track_bank.prepare(table, work, ("mixture",), _RATE, 1, max_rejected=1.0)
    return table


def _decode_inputs(root: Path, work: Path) -> pd.DataFrame:
    found = [path for _, path, _ in inputs.recordings([str(root)])]
    for path in found:
        try:
            audio.read(path, _RATE)
        except UserError:
            continue
    return manifest.from_rows({"path": path} for path in found)


_DECODERS = {
    "shards of folder": _decode_clips,
    "tracks of track_folders": _decode_tracks,
    "tracks of music_folder": _decode_music,
    "samples of inputs": _decode_inputs,
}


def _decoding(decode: Callable[[Path, Path], pd.DataFrame], work: Path) -> Callable[[Path], pd.DataFrame]:
    return lambda root: decode(root, work)


def snapshot(folder_: Path) -> dict[str, tuple]:
    """Return the state of a folder: kinds, permissions, targets of links and checksums of files."""
    found = {}
    for current, folders, names in os.walk(folder_):
        for name in (*folders, *names):
            path = os.path.join(current, name)
            status = os.lstat(path)
            content = ""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK):
                content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            found[path] = (status.st_mode, status.st_mtime_ns, content)
    return found


def _make_removable(folder_: Path) -> None:
    for current, folders, _ in os.walk(folder_):
        for name in folders:
            path = Path(current) / name
            if not path.is_symlink():
                path.chmod(0o700)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

"""The files that a command will write: nothing is overwritten by accident.

All of them are checked before any work. Each must be inside the output folder and must not be an input. An existing file is
replaced only if the same command wrote it from the same recording. A hidden ledger in the output folder stores for each file
what it was made from, its size and its modification time.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from common import files
from common.audio.sources import AudioSource
from common.config import FlagValues
from common.errors import UserError
from common.log import logger

LEDGER = ".quartet-written.json"
_OF_THE_RUN = ("config.json", "corpus.json", "metrics.json", "threshold.json", "model.keras", "excerpts.npz")
# Flags that change which files are written or where, but not their content.
_NOT_OF_THE_CONTENT = ("run_dir", "output_dir", "plot_dir", "output_format", "overwrite", "seed", "num_samples")
Recording = tuple[str, AudioSource, Path | None]


class Target(NamedTuple):
    """A file to write, and the recording it is made from; `-` is standard input, which is never the same twice."""

    path: Path
    made_from: str


class Outputs:
    """The files that one command writes to one folder."""

    def __init__(self, folder: str | Path, command: str, flag_values: FlagValues):
        """Store what identifies files of this command.

        Args:
            folder: The output folder; it need not exist.
            command: For example `separation.predict`.
            flag_values: Its flags. Files of another model or of other flags are replaced only with `--overwrite`.
        """
        self.folder = Path(os.path.abspath(folder))
        given = {name: flag_values[name].value for name in flag_values if flag_values[name].present}
        self.maker = {
            "command": command,
            "run_dir": os.path.realpath(flag_values.run_dir),
            "flags": {name: str(value) for name, value in sorted(given.items()) if name not in _NOT_OF_THE_CONTENT},
        }
        self.overwrite = flag_values.overwrite
        self._entries: dict[str, dict] = {}

    def not_own(self, recordings: Iterable[Recording], named: Sequence[str]) -> list[Recording]:
        """Drop recordings that this command has written itself into a folder to read.

        Args:
            recordings: From `common.cli.inputs.recordings`.
            named: The arguments of the command line.

        Raises:
            UserError: No recording is left.
        """
        recordings = list(recordings)
        roots = {Path(os.path.abspath(name)) for name in named}
        read = functools.cache(_read)
        kept = [one for one in recordings if not (one[2] and self._wrote(Path(os.path.abspath(one[1])), roots, read))]
        if not kept:
            raise UserError(f"all recordings in {', '.join(named)} were written by this command; name the originals")
        if len(kept) < len(recordings):
            logger.warning(
                "skipped %d of the %d recordings found: this command wrote them",
                len(recordings) - len(kept),
                len(recordings),
            )
        return kept

    def _wrote(self, path: Path, roots: set[Path], read: Callable[[Path], dict[str, dict]]) -> bool:
        """Search the ledgers of the output folder and of all folders between an argument and the file."""
        for folder in path.parents:
            if folder in roots and folder != self.folder:
                return False
            entry = read(folder).get(os.path.relpath(path, folder), {})
            if entry.get("command") == self.maker["command"]:
                return True
            if folder in roots:
                return False
        return False

    def check(self, targets: Iterable[Target], inputs: Iterable[AudioSource] = ()) -> None:
        """Check all files before any work.

        Args:
            targets: All files to write.
            inputs: Files to read, which are never replaced.

        Raises:
            UserError: A file is outside the output folder, is an input, would be written twice, or exists and is not from
                this command; or the folder is not writable.
        """
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise UserError(f"{self.folder} is a file; expected a folder to write to: give another one")
        files.check_writable(self.folder)
        taken = {_identity(path) for path in inputs if isinstance(path, str | os.PathLike)} - {None}
        seen: dict[Path, str] = {}
        for path, made_from in targets:
            path = Path(os.path.abspath(path))
            if self.folder not in path.parents:
                raise UserError(f"{path} is not in the output folder {self.folder}; give names that stay in it")
            if _identity(path) in taken:
                raise UserError(f"{path} is a recording to read; give another output folder")
            self._check_way(path)
            real = Path(os.path.realpath(path.parent), path.name)
            if real in seen:
                raise UserError(
                    f"{path} would be written twice, from {seen[real]} and {made_from}; give each its own name"
                )
            seen[real] = made_from
            source = made_from if made_from == "-" else os.path.realpath(made_from)
            entry = {**self.maker, "from": source, "of": _stamp(Path(source))}
            self._entries[os.path.relpath(path, self.folder)] = entry
        if not self.overwrite:
            self._refuse_foreign()

    def _check_way(self, path: Path) -> None:
        """Refuse a target that is a folder, or whose folder is a file."""
        if path.is_dir():
            raise UserError(f"{path} is a folder; expected to write a file there: give another output folder")
        for folder in path.parents:
            if folder == self.folder:
                return
            if os.path.lexists(folder) and not folder.is_dir():
                raise UserError(f"{folder} is a file; expected to make a folder there: give another output folder")

    def _refuse_foreign(self) -> None:
        """Refuse existing files that this command did not write from the same recording."""
        written = _read(self.folder)
        foreign = [
            path
            for key, entry in self._entries.items()
            if os.path.lexists(path := self.folder / key) and not self._is_own(path, written.get(key), entry)
        ]
        if foreign:
            others = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
            raise UserError(
                f"{foreign[0]}{others} exists, and this command did not write it from the same input with the same flags; give"
                " another output folder, or --overwrite to replace it"
            )

    def _is_own(self, path: Path, entry: dict | None, expected: dict) -> bool:
        """Whether a file is as this command wrote it; a killed command left only the plan in the ledger."""
        if entry is None or expected["from"] == "-" or any(entry.get(name) != expected[name] for name in expected):
            return False
        return "modified_ns" not in entry or entry == {**expected, **_stamp(path)}

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Write the checked files inside the block; the ledger gets the plan before it and the result after it."""
        earlier = _read(self.folder)
        before = {key: _stamp(self.folder / key) for key in self._entries}
        is_new = not self.folder.exists()
        self._note(self._entries)
        try:
            yield
        finally:
            after = {key: _stamp(self.folder / key) for key in self._entries}
            self._note(
                {
                    key: {**entry, **after[key]} if after[key] != before[key] else earlier.get(key)
                    for key, entry in self._entries.items()
                }
            )
            if is_new:
                # Nothing was written: remove the new folder.
                with contextlib.suppress(OSError):
                    self.folder.rmdir()

    def _note(self, entries: dict[str, dict | None]) -> None:
        """Update the ledger; None removes an entry."""
        merged = {key: entry for key, entry in (_read(self.folder) | entries).items() if entry}
        if merged:
            files.write_json(self.folder / LEDGER, merged)
        else:
            (self.folder / LEDGER).unlink(missing_ok=True)


def evaluation_file(flag_values: FlagValues, beside: Sequence[str] = ()) -> Path:
    """Return the file for the metrics of an evaluation: `--output`, or `evaluation.json` in the run directory.

    Args:
        flag_values: From `common.cli.flags.define_evaluation_flags`.
        beside: Endings of the other files of the evaluation: `confusion.png` is written as `evaluation_confusion.png`.

    Raises:
        UserError: It is a file of the run, a folder, or an existing file that is not an evaluation; or the folder is not
            writable.
    """
    run_dir = Path(flag_values.run_dir)
    path = Path(flag_values.output or run_dir / "evaluation.json")
    files.check_writable(path.parent)
    if path.is_dir():
        raise UserError(f"--output: {path} is a folder; give a file such as {path / 'evaluation.json'}")
    is_of_a_run = path.name in _OF_THE_RUN and (path.parent / "config.json").exists()
    if is_of_a_run or _identity(path) in {_identity(run_dir / name) for name in _OF_THE_RUN} - {None}:
        raise UserError(f"--output: {path} belongs to a run; give another file")
    others = [path.with_name(f"{path.with_suffix('').name}_{ending}") for ending in beside]
    there = [file for file in (path, *others) if os.path.lexists(file)]
    if there and not flag_values.overwrite and not _is_evaluation(path):
        raise UserError(f"--output: {there[0]} exists and is not an evaluation; give another file, or --overwrite")
    return path


def _is_evaluation(path: Path) -> bool:
    try:
        figures = files.read_json(path, "")
    except (OSError, UserError):
        return False
    return isinstance(figures, dict) and "protocol" in figures


def _read(folder: Path) -> dict[str, dict]:
    """Read a ledger; a damaged one counts as empty."""
    try:
        entries = files.read_json(folder / LEDGER, "")
    except (OSError, UserError):
        return {}
    return (
        {key: entry for key, entry in entries.items() if isinstance(entry, dict)} if isinstance(entries, dict) else {}
    )


def _stamp(path: Path) -> dict[str, int]:
    """Return size and modification time of a file; empty if there is no file."""
    try:
        status = os.lstat(path)
    except OSError:
        return {}
    return {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}


def _identity(path: str | Path) -> tuple[int, int] | None:
    """Return device and inode, which all links to a file share."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino

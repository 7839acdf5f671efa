"""The one way to find recordings in a folder, and what their names mean.

Hidden files and folders are passed over, as is what systems leave beside them. Links are followed, and every recording is
found once: what lies in the folder itself comes before what a link leads to, and a link that leads to it again is left out.
"""

import collections
import dataclasses
import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from common.audio import formats
from common.files.names import plain_name

# What macOS, Windows and network storage put beside one's files.
_COMPANIONS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"}
_LONGEST_SUFFIX, _MOST_SUFFIXES = 8, 5

_TWICE = ("link to what is listed already", "links to what is listed already")
_CIRCLE = ("link to a folder around it", "links to a folder around them")
_BROKEN = ("broken link", "broken links")
_UNREADABLE = ("folder that cannot be read", "folders that cannot be read")
_SPECIAL = ("pipe, socket or device", "pipes, sockets or devices")


@dataclasses.dataclass(frozen=True)
class Listing:
    """The recordings in a folder.

    Attributes:
        root: The folder.
        files: Paths that begin with it, by name.
        others: How many files of each suffix are no audio, empty for those without one.
        left_out: How many there are of what else could not be taken, by its name in the singular and the plural.
    """

    root: Path
    files: tuple[Path, ...]
    others: collections.Counter[str]
    left_out: collections.Counter[tuple[str, str]]

    def parts(self, path: Path) -> tuple[str, ...]:
        """Return the folders below the root that a file lies in, and its own name, as `plain_name` has them."""
        return tuple(map(plain_name, path.relative_to(self.root).parts))

    def tell(self, used: Iterable[str] = ()) -> None:
        """Say on the log what the folder holds beside recordings, in one line, if it holds any.

        Args:
            used: Names of files directly in the folder that are read although they are no audio, such as a table.
        """
        others = self.others - collections.Counter(suffix_of(name) for name in used if (self.root / name).is_file())
        found = []
        if others:
            count = others.total()
            found.append(
                f"{count} {'file that is' if count == 1 else 'files that are'} no audio ({_by_suffix(others)})"
            )
        found += [f"{count} {names[count > 1]}" for names, count in self.left_out.items()]
        if found:
            logging.info("%s: left out %s", plain_name(str(self.root)), ", ".join(found))


def find(root: str | Path, depth: int | None = None) -> Listing:
    """Find the recordings in a folder.

    What cannot be read is counted, never an error.

    Args:
        root: A folder.
        depth: How far down to look: 1 for the files directly in it; None without end.
    """
    root = Path(root)
    search = _Search(root)
    search.walk(root, depth)
    search.follow_links()
    return Listing(root, tuple(sorted(search.files)), search.others, search.left_out)


def one_a_name(found: Listing) -> tuple[list[Path], int]:
    """Keep one of several files that differ in their suffix only, as a recording and its MP3 do.

    Returns:
        The files, by name, the suffix that comes first in `common.audio.formats.AUDIO_SUFFIXES` of each; and how many others there are.
    """
    kept: dict[tuple[str, ...], Path] = {}
    for path in sorted(found.files, key=lambda path: formats.AUDIO_SUFFIXES.index(suffix_of(path.name))):
        *folders, name = found.parts(path)
        kept.setdefault((*folders, os.path.splitext(name)[0]), path)
    return sorted(kept.values()), len(found.files) - len(kept)


def folders(root: str | Path) -> list[Path]:
    """List the folders directly in another, and links to folders, by name; of one that cannot be read, none."""
    try:
        return sorted(Path(entry) for entry in _entries(root) if os.path.isdir(entry))
    except OSError:
        return []


def suffix_of(name: str) -> str:
    """Return a file's suffix in lower case, such as `.wav`; empty where there is none."""
    return os.path.splitext(name)[1].lower()


class _Search:
    """Finds recordings: first in a folder itself, then where its links lead."""

    def __init__(self, root: Path):
        self.files: list[Path] = []
        self.others: collections.Counter[str] = collections.Counter()
        self.left_out: collections.Counter[tuple[str, str]] = collections.Counter()
        self._seen: set[str] = set()
        self._links: collections.deque[tuple[Path, int | None]] = collections.deque()
        self._root = os.path.realpath(root)

    def walk(self, folder: Path, depth: int | None) -> None:
        """Take what lies in a folder and below it, and remember its links."""
        waiting = [(folder, os.path.realpath(folder), depth)]
        while waiting:
            folder, real, depth = waiting.pop()
            if self._is_seen(real):
                continue
            below = None if depth is None else depth - 1
            try:
                entries = [(entry.name, os.lstat(entry).st_mode) for entry in _entries(folder)]
            except OSError:
                self.left_out[_UNREADABLE] += 1
                continue
            for name, mode in sorted(entries):
                if stat.S_ISLNK(mode):
                    self._links.append((folder / name, below))
                elif not stat.S_ISDIR(mode):
                    self._take(folder / name, os.path.join(real, name), mode)
                elif below != 0:
                    waiting.append((folder / name, os.path.join(real, name), below))

    def follow_links(self) -> None:
        """Take what the links lead to, and those that are found there in turn."""
        while self._links:
            path, below = self._links.popleft()
            try:
                mode = os.stat(path).st_mode
            except OSError:
                self.left_out[_BROKEN] += 1
                continue
            if not stat.S_ISDIR(mode):
                self._take(path, os.path.realpath(path), mode)
            elif below == 0:
                continue
            elif self._leads_up(path):
                self.left_out[_CIRCLE] += 1
            else:
                self.walk(path, below)

    def _take(self, path: Path, real: str, mode: int) -> None:
        if not stat.S_ISREG(mode):
            self.left_out[_SPECIAL] += 1
        elif suffix_of(path.name) not in formats.AUDIO_SUFFIXES:
            self.others[suffix_of(path.name)] += 1
        elif not self._is_seen(real):
            self.files.append(path)

    def _is_seen(self, real: str) -> bool:
        """Whether a file or a folder was taken before, by its path without links; from now on it was."""
        if real in self._seen:
            self.left_out[_TWICE] += 1
            return True
        self._seen.add(real)
        return False

    def _leads_up(self, link: Path) -> bool:
        """Whether a link leads to a folder that it lies in itself, or that the root lies in."""
        target = os.path.realpath(link)
        return any(
            os.path.commonpath([target, inside]) == target for inside in (self._root, os.path.realpath(link.parent))
        )


def _entries(folder: str | Path) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _COMPANIONS]


def _by_suffix(others: collections.Counter[str]) -> str:
    """List suffixes with their counts, the most frequent first; what is odd or rare is put together."""
    named = {
        suffix: count for suffix, count in others.items() if 1 < len(suffix) <= _LONGEST_SUFFIX and suffix.isascii()
    }
    shown = sorted(named.items(), key=lambda item: (-item[1], item[0]))[:_MOST_SUFFIXES]
    rest = others.total() - sum(count for _, count in shown)
    return ", ".join([f"{plain_name(suffix)} {count}" for suffix, count in shown] + [f"other {rest}"] * bool(rest))

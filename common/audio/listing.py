"""Find the recordings in a folder.

Hidden files and folders are skipped, and so are files that operating systems create. Links are followed, and every
recording is listed once: files in the folder itself come before the targets of links, and links to listed files are
skipped.
"""

import collections
import dataclasses
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from common.audio import formats
from common.files.names import plain_name
from common.log import logger

# Folders that macOS, Windows and network storage create.
_COMPANIONS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"}
_LONGEST_SUFFIX, _MOST_SUFFIXES = 8, 5

_TWICE = ("link to an already listed file or folder", "links to already listed files or folders")
_CIRCLE = ("link to one of its parent folders", "links to one of their parent folders")
_BROKEN = ("broken link", "broken links")
_UNREADABLE = ("folder that cannot be read", "folders that cannot be read")
_SPECIAL = ("pipe, socket or device", "pipes, sockets or devices")


@dataclasses.dataclass(frozen=True)
class Listing:
    """The recordings in a folder.

    Attributes:
        root: The folder.
        files: Paths below the root, sorted by name.
        others: Number of files that are not audio, by suffix; the key is empty for files without a suffix.
        left_out: Number of other entries that were skipped, by kind, named in the singular and the plural.
    """

    root: Path
    files: tuple[Path, ...]
    others: collections.Counter[str]
    left_out: collections.Counter[tuple[str, str]]

    def parts(self, path: Path) -> tuple[str, ...]:
        """Return the folders between the root and a file, then the file name, each after `plain_name`."""
        return tuple(map(plain_name, path.relative_to(self.root).parts))

    def tell(self, used: Iterable[str] = ()) -> None:
        """Log in one line what was skipped, if anything.

        Args:
            used: Names of files directly in the folder that are used although they are not audio, such as a table.
        """
        others = self.others - collections.Counter(suffix_of(name) for name in used if (self.root / name).is_file())
        found = []
        if others:
            count = others.total()
            found.append(
                f"{count} {'file that is' if count == 1 else 'files that are'} not audio ({_by_suffix(others)})"
            )
        found += [f"{count} {names[count > 1]}" for names, count in self.left_out.items()]
        if found:
            logger.info("%s: skipped %s", plain_name(str(self.root)), ", ".join(found))


def find(root: str | Path, depth: int | None = None) -> Listing:
    """Find the recordings in a folder.

    Unreadable entries are counted and raise no error.

    Args:
        root: A folder.
        depth: Maximum depth: 1 for the files directly in the folder; None for no limit.
    """
    root = Path(root)
    search = _Search(root)
    search.walk(root, depth)
    search.follow_links()
    return Listing(root, tuple(sorted(search.files)), search.others, search.left_out)


def one_a_name(found: Listing) -> tuple[list[Path], int]:
    """Keep one of several files that differ only in their suffix, such as a recording and its MP3 copy.

    The suffix that comes first in `common.audio.formats.AUDIO_SUFFIXES` is kept.

    Returns:
        The files, sorted by name, and the number of other copies.
    """
    kept: dict[tuple[str, ...], Path] = {}
    for path in sorted(found.files, key=lambda path: formats.AUDIO_SUFFIXES.index(suffix_of(path.name))):
        *folders, name = found.parts(path)
        kept.setdefault((*folders, os.path.splitext(name)[0]), path)
    return sorted(kept.values()), len(found.files) - len(kept)


def folders(root: str | Path) -> list[Path]:
    """List the subfolders of a folder, and links to folders, sorted by name; empty if the folder is unreadable."""
    try:
        return sorted(Path(entry) for entry in _entries(root) if os.path.isdir(entry))
    except OSError:
        return []


def suffix_of(name: str) -> str:
    """Return a file's suffix in lower case, such as `.wav`, or an empty string."""
    return os.path.splitext(name)[1].lower()


class _Search:
    """Finds recordings: first in the folder itself, then behind its links."""

    def __init__(self, root: Path):
        self.files: list[Path] = []
        self.others: collections.Counter[str] = collections.Counter()
        self.left_out: collections.Counter[tuple[str, str]] = collections.Counter()
        self._seen: set[str] = set()
        self._links: collections.deque[tuple[Path, int | None]] = collections.deque()
        self._root = os.path.realpath(root)

    def walk(self, folder: Path, depth: int | None) -> None:
        """Collect the files in a folder and below it, and remember the links."""
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
        """Collect the targets of the links, including links found on the way."""
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
        """Whether a file or folder, given by its resolved path, was seen before; marks it as seen."""
        if real in self._seen:
            self.left_out[_TWICE] += 1
            return True
        self._seen.add(real)
        return False

    def _leads_up(self, link: Path) -> bool:
        """Whether a link leads to a folder that contains the link or the root."""
        target = os.path.realpath(link)
        return any(
            os.path.commonpath([target, inside]) == target for inside in (self._root, os.path.realpath(link.parent))
        )


def _entries(folder: str | Path) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _COMPANIONS]


def _by_suffix(others: collections.Counter[str]) -> str:
    """List suffixes with their counts, the most frequent first; unusual and rare ones are counted as "other"."""
    named = {
        suffix: count for suffix, count in others.items() if 1 < len(suffix) <= _LONGEST_SUFFIX and suffix.isascii()
    }
    shown = sorted(named.items(), key=lambda item: (-item[1], item[0]))[:_MOST_SUFFIXES]
    rest = others.total() - sum(count for _, count in shown)
    return ", ".join([f"{plain_name(suffix)} {count}" for suffix, count in shown] + [f"other {rest}"] * bool(rest))

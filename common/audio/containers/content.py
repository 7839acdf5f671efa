"""The bytes of a file, and a stream in it."""

import dataclasses
import io
import re
from typing import BinaryIO

_WINDOW = 2**16
_SEARCHED = 2**20
_ZEROS = bytes(_WINDOW)
# First bytes of recordings: RIFF, W64, AIFF, CAF, AU, FLAC, Ogg.
RECORDINGS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"caff", b".snd", b"fLaC", b"OggS", b"riff")


@dataclasses.dataclass(frozen=True)
class Part:
    """A stream of a file, in a form that libsndfile reads to its end.

    Attributes:
        pieces: The stream in order: bytes that replace a header, or (begin, end) positions in the file.
        end: Position in the file where the next stream may begin.
        stated_samples: Length in the header, in samples, where it exceeds the real length; 0 otherwise.
        lacks_end: Whether the end is missing and the length of the missing part is unknown.
        has_gap: Whether data in the middle is missing.
        num_left: Bytes after the samples that are neither part of the recording, by its header, nor a known chunk.
    """

    pieces: tuple[bytes | tuple[int, int], ...]
    end: int
    stated_samples: int = 0
    lacks_end: bool = False
    has_gap: bool = False
    num_left: int = 0

    def is_file(self, size: int) -> bool:
        """Whether the stream is the unchanged whole file of `size` bytes."""
        return self.pieces == ((0, size),)


class Content:
    """The bytes of a file, read in windows.

    Args:
        file: Seekable.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        self._first, self._window = 0, b""

    def read(self, begin: int, num_bytes: int) -> bytes:
        """Return the bytes from `begin`, fewer at the end of the file."""
        offset = begin - self._first
        if offset < 0 or offset + num_bytes > len(self._window):
            self._file.seek(begin)
            self._first, self._window = begin, self._file.read(max(num_bytes, _WINDOW))
            offset = 0
        return self._window[offset : offset + num_bytes]

    def find(self, wanted: bytes, begin: int, end: int | None = None) -> int:
        """Return the position of the next `wanted` before `end`, or -1."""
        end = self.size if end is None else end
        overlap = len(wanted) - 1
        while begin + overlap < end:
            window = self.read(begin, min(_SEARCHED, end - begin))
            found = window.find(wanted)
            if found >= 0:
                return begin + found
            if len(window) <= overlap:
                break
            begin += len(window) - overlap
        return -1

    def search(self, pattern: re.Pattern[bytes], begin: int, end: int, longest: int = 4) -> int:
        """Return the position of the next match before `end` of a pattern of at most `longest` bytes, or -1."""
        while begin < end:
            window = self.read(begin, min(_WINDOW, end - begin))
            if found := pattern.search(window):
                return begin + found.start()
            if len(window) < longest:
                break
            begin += len(window) - longest + 1
        return -1

    def first_nonzero(self, begin: int) -> int:
        """Return the position of the next nonzero byte, or the size of the file."""
        while begin < self.size:
            window = self.read(begin, _WINDOW)
            if not window:
                break
            if window != _ZEROS[: len(window)]:
                return begin + len(window) - len(window.lstrip(b"\0"))
            begin += len(window)
        return self.size

    def last_nonzero(self, begin: int, end: int) -> int:
        """Return the position of the last nonzero byte before `end`, or `begin`."""
        while end > begin:
            first = max(begin, end - _WINDOW)
            rest = self.read(first, end - first).rstrip(b"\0")
            if rest:
                return first + len(rest) - 1
            end = first
        return begin

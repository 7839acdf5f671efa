"""Find the audio streams in a file and their real length, whatever the header says.

Headers are often wrong: recorders lose power before they write a length, programs that write to a pipe do not know it,
files are truncated, and people join files with `cat`. `examine` finds the streams in a file and where each one ends.
libsndfile reads a stream to its end through a `PartFile`. Nothing is decoded here, and files are not changed.

| module | formats |
|---|---|
| `chunks` | WAV, RF64, W64, AIFF, CAF, AU |
| `flac` | FLAC |
| `mpeg` | MP3 |
| `ogg` | Ogg with Vorbis, Opus or FLAC |
| `boxes` | M4A and MP4, WMA, WebM and Matroska, which FFmpeg reads |
"""

import io
from collections.abc import Callable
from typing import BinaryIO

from common.audio.containers import boxes, chunks, flac, mpeg, ogg
from common.audio.containers.content import Content, Part

__all__ = ["Content", "Part", "PartFile", "examine"]

# Each function takes the content and a start position, and returns the stream there, or None for another format.
FORMATS: tuple[Callable[[Content, int], Part | None], ...] = (chunks.part, flac.part, ogg.part, boxes.part, mpeg.part)
_ID3_HEADER = 10


def examine(file: BinaryIO) -> list[Part]:
    """Find the streams in a file; joined files have more than one.

    Args:
        file: Seekable.

    Returns:
        The streams in order; empty for unknown formats.
    """
    content = Content(file)
    found: list[Part] = []
    position = _skip_padding(content, 0)
    while position < content.size:
        part = next((part for read in FORMATS if (part := read(content, position)) is not None), None)
        if part is None:
            break
        found.append(part)
        position = _skip_padding(content, max(part.end, position + 1))
    return found


def _skip_padding(content: Content, position: int) -> int:
    """Return the first position after zero bytes and ID3 tags, which may precede streams of any format."""
    while True:
        start = content.first_nonzero(position)
        if content.read(start, 3) == b"ID3":
            length = 0
            for digit in content.read(start + 6, 4):
                length = length * 128 + (digit & 127)
            start += _ID3_HEADER + length
        own = next((zeros for zeros in (3, 2, 1) if boxes.is_mp4(content, start - zeros)), 0)
        if own and start - own >= position:
            return start - own
        if start == position or start >= content.size:
            return start
        position = start


class PartFile:
    """A read-only file object for one stream of a file, for libsndfile.

    Args:
        file: The file that contains the stream.
        part: The stream.
    """

    def __init__(self, file: BinaryIO, part: Part):
        self._file = file
        self._pieces: list[tuple[int, int, bytes | int]] = []  # begin, end, and the bytes or their position in `file`
        size = 0
        for piece in part.pieces:
            length = len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
            self._pieces.append((size, size + length, piece if isinstance(piece, bytes) else piece[0]))
            size += length
        self._size = size
        self._position = 0
        self._current = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek; positions outside the stream, as from damaged headers, are ignored."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if 0 <= base + offset <= self._size:
            self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def read(self, num_bytes: int = -1) -> bytes:
        """Read from the current position."""
        wanted = self._size - self._position if num_bytes < 0 else num_bytes
        parts = []
        while wanted > 0 and self._position < self._size:
            data = self._read_from_piece(wanted)
            if not data:
                break  # The file was truncated meanwhile.
            parts.append(data)
            self._position += len(data)
            wanted -= len(data)
        return b"".join(parts)

    def _read_from_piece(self, wanted: int) -> bytes:
        # Pieces are almost always read in order, so the current one is tried first.
        if not self._pieces[self._current][0] <= self._position < self._pieces[self._current][1]:
            self._current = next(
                index for index, (first, end, _) in enumerate(self._pieces) if first <= self._position < end
            )
        first, end, there = self._pieces[self._current]
        offset, wanted = self._position - first, min(wanted, end - self._position)
        if isinstance(there, bytes):
            return there[offset : offset + wanted]
        self._file.seek(there + offset)
        return self._file.read(wanted)

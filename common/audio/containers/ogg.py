"""Ogg: each page has its own size; a flag on the first page of a stream separates chained streams.

libsndfile reads only the first stream of a chain. Source: S. Pfeiffer, "The Ogg Encapsulation Format", RFC 3533, 2003.
"""

from typing import NamedTuple

from common.audio.containers.content import Content, Part

_HEADER = 27
_FIRST, _LAST = 2, 4  # flags of a page
_MAGIC = b"OggS"


def part(content: Content, begin: int) -> Part | None:
    """Return the stream that begins at `begin`, or None if it is not Ogg."""
    if content.read(begin, 4) != _MAGIC:
        return None
    pieces: list[tuple[int, int]] = []
    position, has_begun, is_last, has_gap = begin, False, False, False
    numbers: dict[bytes, int] = {}  # number of the last page of each multiplexed stream
    while (page := _page(content, position)) is not None:
        if page.flags & _FIRST and has_begun:
            break
        has_begun = has_begun or not page.flags & _FIRST
        is_last = bool(page.flags & _LAST)
        has_gap = has_gap or page.number != numbers.get(page.serial, page.number - 1) + 1
        numbers[page.serial] = page.number
        if pieces and pieces[-1][1] == page.begin:
            pieces[-1] = (pieces[-1][0], page.end)
        else:
            pieces.append((page.begin, page.end))
        position = page.end
    if not has_begun:
        return None
    return Part(tuple(pieces), page.begin if page else position, lacks_end=not is_last, has_gap=has_gap)


class _Page(NamedTuple):
    """A page: position, flags, serial number of its stream, and number in the stream."""

    begin: int
    end: int
    flags: int
    serial: bytes
    number: int


def _page(content: Content, position: int) -> _Page | None:
    """Find the next complete page."""
    while True:
        position = content.find(_MAGIC, position)
        if position < 0:
            return None
        header = content.read(position, _HEADER)
        sizes = content.read(position + _HEADER, header[26]) if len(header) == _HEADER else b""
        end = position + _HEADER + len(sizes) + sum(sizes)
        if sizes and header[4] == 0 and end <= content.size and not _is_cut(content, position, end):
            return _Page(position, end, header[5], header[14:18], int.from_bytes(header[18:22], "little"))
        position += 1


def _is_cut(content: Content, begin: int, end: int) -> bool:
    """Whether a page was truncated and another file begins inside it: then no page follows at its stated end."""
    if end == content.size or content.read(end, 4) == _MAGIC:
        return False
    inside = content.find(_MAGIC, begin + 4, end + 3)
    return inside >= 0 and content.read(inside + 4, 1) == b"\0"

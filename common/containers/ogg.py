"""Ogg: pages, each of which says how long it is; streams that follow each other are told by pages that begin one.

libsndfile reads the first stream of a chain only. Source: S. Pfeiffer, "The Ogg Encapsulation Format", RFC 3533, 2003.
"""

from common.containers.content import Content, Part

_HEADER = 27
_FIRST, _LAST = 2, 4  # flags of a page
_MAGIC = b"OggS"


def part(content: Content, begin: int) -> Part | None:
    """Return the stream that begins at `begin`, or None if it is no Ogg."""
    if content.read(begin, 4) != _MAGIC:
        return None
    pieces: list[tuple[int, int]] = []
    position, has_begun, is_last = begin, False, False
    while (page := _page(content, position)) is not None:
        position, end, flags = page
        if flags & _FIRST and has_begun:
            break
        has_begun = has_begun or not flags & _FIRST
        is_last = bool(flags & _LAST)
        if pieces and pieces[-1][1] == position:
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.append((position, end))
        position = end
    if not has_begun:
        return None
    return Part(tuple(pieces), position if page else content.size, lacks_end=not is_last)


def _page(content: Content, position: int) -> tuple[int, int, int] | None:
    """Find the next whole page: its first byte, its end, and its flags."""
    while True:
        position = content.find(_MAGIC, position)
        if position < 0:
            return None
        header = content.read(position, _HEADER)
        sizes = content.read(position + _HEADER, header[26]) if len(header) == _HEADER else b""
        end = position + _HEADER + len(sizes) + sum(sizes)
        if sizes and header[4] == 0 and end <= content.size:
            return position, end, header[5]
        position += 1

"""MP4 and M4A, WMA, WebM and Matroska: find the end of a recording, because FFmpeg reads only one, from its first byte.

FFmpeg gives their length; see `common.audio.ffmpeg`.
"""

import struct
from collections.abc import Callable

from common.audio.containers.content import Content, Part

_ASF_HEADER = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_ASF_DATA = b"\x36\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c"
_ASF_OBJECT_BYTES = 24
# Boxes that may be truncated at the end of the file; other boxes that exceed it are invalid.
_LONG = (b"mdat", b"moov", b"moof", _ASF_DATA)
_EBML = b"\x1a\x45\xdf\xa3"


def part(content: Content, begin: int) -> Part | None:
    """Return the recording that begins at `begin`, or None for other formats."""
    if content.read(begin, len(_EBML)) == _EBML:
        return Part(((begin, content.size),), content.size)  # FFmpeg continues with an appended recording.
    if is_mp4(content, begin):
        return _boxes(content, begin, _mp4_box)
    if content.read(begin, len(_ASF_HEADER)) == _ASF_HEADER:
        return _boxes(content, begin, _asf_object)
    return None


def is_mp4(content: Content, position: int) -> bool:
    """Whether an MP4 begins here; it starts with a size, whose bytes are mostly zero."""
    return content.read(position + 4, 4) == b"ftyp"


def _boxes(content: Content, begin: int, read: Callable[[Content, int], tuple[bytes, int] | None]) -> Part:
    """Follow boxes to the end of the file or to the first box of another recording."""
    position, first = begin, None
    while (box := read(content, position)) is not None:
        name, size = box
        if name == first or size <= 0:
            break
        first = first or name
        if position + size > content.size:
            if name in _LONG:
                return Part(((begin, content.size),), content.size, lacks_end=True)
            break
        position += size
    return Part(((begin, position),), position)


def _mp4_box(content: Content, position: int) -> tuple[bytes, int] | None:
    """Return the name and size of a box; None if there is no box here."""
    head = content.read(position, 16)
    if len(head) < 8 or not all(32 <= letter < 127 for letter in head[4:8]):
        return None
    size = int.from_bytes(head[:4], "big")
    if size == 0:
        size = content.size - position  # up to the end of the file
    if size == 1:
        size = int.from_bytes(head[8:16], "big")
    return head[4:8], size


def _asf_object(content: Content, position: int) -> tuple[bytes, int] | None:
    head = content.read(position, _ASF_OBJECT_BYTES)
    if len(head) < _ASF_OBJECT_BYTES:
        return None
    return head[:16], struct.unpack("<Q", head[16:24])[0]

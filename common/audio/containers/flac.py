"""FLAC: frames are numbered and have checksums, so the last complete frame gives the length of the stream.

libsndfile trusts the length in the header, and reads nothing near the end of a truncated file.
Source: M. van Beurden, A. Weaver, "Free Lossless Audio Codec (FLAC)", RFC 9639, 2024.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator

from common.audio.containers.content import Content, Part

_MAGIC = b"fLaC"
_STREAMINFO_BYTES = 42  # magic, header of the first block, and STREAMINFO
_LONGEST_HEADER = 16
_LONGEST_FRAME = 2**20
_UNKNOWN_LENGTH = 2**36 - 1
_TAGS = (b"TAG", b"APETAGEX", b"ID3", b"LYRICSBEGIN")
_SEARCHED = 2**14
# Bytes within a frame can look like the header of another; the search for a real one gives up after this many.
_MOST_CANDIDATES = 32
_BLOCK_SIZES = {
    1: 192,
    **{code: 576 << (code - 2) for code in range(2, 6)},
    **{n: 256 << (n - 8) for n in range(8, 16)},
}


@dataclasses.dataclass(frozen=True)
class _Frame:
    """Position, first sample and number of samples of a frame."""

    position: int
    first_sample: int
    num_samples: int


def part(content: Content, begin: int) -> Part | None:
    """Return the stream that begins at `begin`, or None if it is not FLAC."""
    info = _stream_info(content, begin)
    first = info and _first_frame(content, begin)
    if not first:
        return None
    stated = int.from_bytes(info[21:26], "big") % 2**36
    # The whole file is searched, because another stream may follow anywhere.
    limit = _next_stream(content, first)
    end, num_samples = _end(content, first, info, limit, stated)
    if not num_samples:
        return None
    if (begin, end, num_samples) == (0, content.size, stated):
        return Part(((0, content.size),), content.size)
    length = ((info[21] & 0xF0) << 32 | num_samples).to_bytes(5, "big")
    header = info[:21] + length + info[26:]
    pieces = (header, (begin + _STREAMINFO_BYTES, end))
    is_stated = num_samples < stated < _UNKNOWN_LENGTH
    return Part(pieces, limit, stated if is_stated else 0)


def _stream_info(content: Content, begin: int) -> bytes | None:
    head = content.read(begin, _STREAMINFO_BYTES)
    is_flac = len(head) == _STREAMINFO_BYTES and head[:4] == _MAGIC and head[4] & 127 == 0 and head[5:8] == b"\0\0\x22"
    return head if is_flac else None


def _next_stream(content: Content, position: int) -> int:
    while (position := content.find(_MAGIC, position)) >= 0:
        if _stream_info(content, position):
            return position
        position += 1
    return content.size


def _first_frame(content: Content, begin: int) -> int | None:
    """Return the position after the metadata blocks."""
    position = begin + 4
    while len(head := content.read(position, 4)) == 4:
        position += 4 + int.from_bytes(head[1:], "big")
        if head[0] & 128:
            return position if position < content.size else None
    return None


def _end(content: Content, first: int, info: bytes, limit: int, stated: int) -> tuple[int, int]:
    """Return the end of the last complete frame before `limit`, and the number of samples up to it.

    The samples of a frame can look like the header of another one, so a frame counts if its checksum is right.
    """
    last, ends = None, []
    frames = _frames_from_the_end(content, first, limit, int.from_bytes(info[10:12], "big"))
    for frame in itertools.islice(frames, _MOST_CANDIDATES):
        if last is None:
            last = frame
            tail = content.read(frame.position, min(limit - frame.position, _LONGEST_FRAME))
            ends = [frame.position + length for length in _possible_lengths(tail)]
        end = _checked_end(content, frame, ends)
        if end is not None:
            return end, frame.first_sample + frame.num_samples
        if frame.first_sample + frame.num_samples == stated:
            # Trailing bytes do not matter: decoding stops after the last sample.
            return limit, stated
        # The frame before it may be the last complete one.
        ends.append(frame.position)
    return (last.position, last.first_sample) if last else (first, 0)


def _checked_end(content: Content, frame: _Frame, ends: list[int]) -> int | None:
    """Return the end at which the checksum of a frame is right, or None."""
    reachable = sorted({end for end in ends if frame.position < end <= frame.position + _LONGEST_FRAME})
    value, begin, found = 0, frame.position, None
    for end in reachable:
        value, begin = _checksum(content.read(begin, end - begin), value), end
        # The checksum of a frame that includes its checksum is 0, and stays 0 over zeros: a checksum can end with one.
        if not value:
            found = end
    return found


def _possible_lengths(frame: bytes) -> Iterator[int]:
    """Yield possible lengths of the last frame: up to a tag, up to trailing zeros, or up to the end of the file."""
    ends = [len(frame), *(found for tag in _TAGS if (found := frame.find(tag)) > 0)]
    for end in ends:
        bare = len(frame[:end].rstrip(b"\0"))
        yield from range(bare, min(end, bare + 2) + 1)


def _frames_from_the_end(content: Content, first: int, end: int, block_size: int) -> Iterator[_Frame]:
    """Yield what looks like a frame before `end`, the last one first."""
    # Many zeros may follow the last frame.
    reached = end = content.last_nonzero(first, end) + 1
    while reached > max(first, end - _LONGEST_FRAME):
        begin = max(first, reached - _SEARCHED)
        window = content.read(begin, min(reached + _LONGEST_HEADER, end) - begin)
        at = reached - begin
        while (at := window.rfind(b"\xff", 0, at)) >= 0:
            frame = _frame(window[at : at + _LONGEST_HEADER], begin + at, block_size)
            if frame is not None:
                yield frame
        reached = begin


def _frame(head: bytes, position: int, block_size: int) -> _Frame | None:
    """Parse a frame header; return None if it is invalid."""
    if len(head) < 6 or head[0] != 255 or head[1] & 0xFE != 0xF8:
        return None
    block_code, rate_code, channels, bits = head[2] >> 4, head[2] & 15, head[3] >> 4, head[3] >> 1 & 7
    if not block_code or rate_code == 15 or channels > 10 or bits == 3 or head[3] & 1:
        return None
    number, at = _number(head, 4)
    if number is None:
        return None
    num_samples = _BLOCK_SIZES.get(block_code, 0)
    if block_code in (6, 7):
        width = block_code - 5
        num_samples = int.from_bytes(head[at : at + width], "big") + 1
        at += width
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(head) or _header_checksum(head[:at]) != head[at]:
        return None
    # Streams with a fixed block size number their frames, others store the first sample.
    return _Frame(position, number if head[1] & 1 else number * block_size, num_samples)


def _number(head: bytes, at: int) -> tuple[int | None, int]:
    """Decode a number in the style of UTF-8, up to seven bytes; return it and the position after it."""
    first = head[at]
    length = 8 - (first ^ 255).bit_length()
    if length == 0:
        return first, at + 1
    following = head[at + 1 : at + length]
    if length == 1 or len(following) < length - 1 or any(byte >> 6 != 2 for byte in following):
        return None, at
    number = first & (127 >> length)
    for byte in following:
        number = number << 6 | byte & 63
    return number, at + length


@functools.cache
def _table(polynomial: int, bits: int) -> list[int]:
    top, mask = 1 << (bits - 1), (1 << bits) - 1
    table = []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        table.append(value)
    return table


def _header_checksum(content: bytes) -> int:
    table, value = _table(0x07, 8), 0
    for byte in content:
        value = table[value ^ byte]
    return value


def _checksum(content: bytes, value: int = 0) -> int:
    """Continue the checksum `value` of a frame with the bytes that follow."""
    table = _table(0x8005, 16)
    for byte in content:
        value = (value << 8 & 0xFFFF) ^ table[value >> 8 ^ byte]
    return value

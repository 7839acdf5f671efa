"""MP3: each frame has its own size; an optional tag frame at the beginning states the number of frames.

libsndfile reads as many samples as the tag frame states; without one it estimates the length from the first bit rate.
So frames are counted here, and a stream with a missing or wrong count gets a correct tag frame. Only frames are kept:
bytes between them, such as tags, are skipped.

Source: ISO/IEC 11172-3; G. Bouvigne and N. Currie, "MP3 Info Tag", http://gabriel.mp3-tech.org/mp3infotag.html.
"""

import dataclasses
import functools
import re

from common.audio.containers.content import RECORDINGS, Content, Part

_LAYER_3 = 1
_MPEG_1 = 3
_BITRATES = {
    _MPEG_1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    **dict.fromkeys((0, 2), (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_HAS_FRAMES, _HAS_BYTES, _HAS_TABLE, _HAS_QUALITY = 1, 2, 4, 8
_SEARCHED = 2**16
_AGREEING = 3  # consecutive frames at the beginning of a stream; fewer occur by chance
_DELAYS_AT = 21  # offset in the encoder's part of the tag: its delay and the padding at the end, 12 bits each
_ENCODER_BYTES = 36
# Video files, which may contain MP3 frames.
_FILMS = ((8, b"AVI "), (0, b"FLV"))


# Possible headers of layer 3 frames, with a valid version and bit rate.
_HEADER_BYTES = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef].", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class _Header:
    """The header of a frame, four bytes."""

    version: int
    sample_rate: int
    mono: bool
    size: int

    @property
    def num_samples(self) -> int:
        return 1152 if self.version == _MPEG_1 else 576

    @property
    def side_bytes(self) -> int:
        """Size of the side information after the header, in bytes."""
        return {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}[
            self.version == _MPEG_1, self.mono
        ]

    def agrees(self, other: "_Header | None") -> bool:
        """Whether another frame belongs to the same stream; libsndfile stops where the rate or channels change."""
        return other is not None and (self.version, self.sample_rate, self.mono) == (
            other.version,
            other.sample_rate,
            other.mono,
        )


@dataclasses.dataclass(frozen=True)
class _Tag:
    """The content of the tag frame of a stream."""

    num_frames: int
    num_bytes: int
    delays: bytes  # as packed by the encoder; may be empty


def begins(content: Content, position: int) -> bool:
    """Whether a stream begins exactly here."""
    return _next_frame(content, position, position + 4) is not None


def part(content: Content, begin: int) -> Part | None:
    """Return the stream that begins at `begin` or shortly after, or None if it is not MP3."""
    if any(content.read(begin + offset, len(magic)) == magic for offset, magic in _FILMS):
        return None
    first = _next_frame(content, begin, min(content.size, begin + _SEARCHED))
    if first is None:
        return None
    header = _header(content.read(first, 4))
    tag = _tag(content, first, header)
    pieces, num_frames, end = _count(content, first, header, bool(tag))
    if not num_frames:
        return None
    stated = tag.num_frames if tag else 0
    samples = header.num_samples
    if stated == num_frames:
        if first == 0 and pieces == [(header.size, end)] and not content.read(end, 1):
            return Part(((0, content.size),), content.size)
        front = content.read(first, header.size)
    else:
        front = _tag_frame(content.read(first, 4), header, num_frames, tag.delays if tag else b"")
    return Part((front, *pieces), end, stated * samples if stated > num_frames else 0)


@functools.lru_cache(maxsize=4096)
def _header(head: bytes) -> _Header | None:
    """Parse a frame header; None if it is invalid, not layer 3, or of free bit rate."""
    if len(head) < 4 or head[0] != 255 or head[1] & 0xE0 != 0xE0 or head[1] >> 1 & 3 != _LAYER_3:
        return None
    version, bitrate, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3:
        return None
    sample_rate = _RATES[version][rate]
    padding = head[2] >> 1 & 1
    size = (144 if version == _MPEG_1 else 72) * 1000 * _BITRATES[version][bitrate] // sample_rate + padding
    return _Header(version, sample_rate, head[3] >> 6 == 3, size)


def _next_frame(content: Content, begin: int, limit: int) -> int | None:
    """Find consecutive frames of one stream; fewer suffice if they end exactly at the end of the file."""
    position = begin
    while (position := content.search(_HEADER_BYTES, position, limit)) >= 0:
        header, at, agreeing = _header(content.read(position, 4)), position, 0
        following = header
        while header and header.agrees(following) and agreeing < _AGREEING:
            at, agreeing = at + following.size, agreeing + 1
            following = _header(content.read(at, 4))
        if agreeing == _AGREEING or (at == content.size and agreeing > (position > begin)):
            return position
        position += 1
    return None


def _count(content: Content, first: int, header: _Header, has_tag: bool) -> tuple[list[tuple[int, int]], int, int]:
    """Return the positions of the frames without the tag frame, their number, and the end of the stream."""
    position = begin = first + header.size if has_tag else first
    pieces: list[tuple[int, int]] = []
    num_frames = 0
    while position < content.size:
        own = _header(content.read(position, 4))
        if header.agrees(own) and position + own.size <= content.size:
            if num_frames and _tag(content, position, own):
                break  # an appended file
            num_frames += 1
            position += own.size
            continue
        if position > begin:
            pieces.append((begin, position))
        if content.read(content.first_nonzero(position), 4) in RECORDINGS:
            return pieces, num_frames, position
        # After a tag or damaged bytes another stream may begin, possibly at another sample rate.
        following = _next_frame(content, position, content.size)
        position = begin = content.size if following is None else following
        if following is None or not header.agrees(found := _header(content.read(following, 4))):
            break
        if _tag(content, following, found):
            break
    if position > begin:
        pieces.append((begin, position))
    return pieces, num_frames, position


def _tag(content: Content, position: int, header: _Header) -> _Tag | None:
    """Parse a tag frame; None if it is another frame."""
    frame = content.read(position, header.size)
    if frame[36:40] == b"VBRI":
        return _Tag(int.from_bytes(frame[50:54], "big"), int.from_bytes(frame[46:50], "big"), b"")
    at = 4 + header.side_bytes
    if frame[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    at += 8
    values = {}
    for flag, size in ((_HAS_FRAMES, 4), (_HAS_BYTES, 4), (_HAS_TABLE, 100), (_HAS_QUALITY, 4)):
        if flags & flag:
            values[flag] = frame[at : at + size]
            at += size
    num_frames, num_bytes = (int.from_bytes(values.get(flag, b""), "big") for flag in (_HAS_FRAMES, _HAS_BYTES))
    return _Tag(num_frames, num_bytes, frame[at + _DELAYS_AT : at + _DELAYS_AT + 3])


def _tag_frame(head: bytes, header: _Header, num_frames: int, delays: bytes) -> bytes:
    """Return a tag frame with a number of frames, and with the encoder delay if known."""
    needed = 4 + header.side_bytes + 12 + _ENCODER_BYTES
    for bitrate in range(1, 15):
        # Without a checksum, which would have to be computed.
        own = bytes([head[0], head[1] | 1, bitrate << 4 | head[2] & 0b1100, head[3]])
        size = _header(own).size
        if size >= needed:
            break
    frame = bytearray(size)
    frame[:4] = own
    at = 4 + header.side_bytes
    frame[at : at + 12] = b"Xing" + _HAS_FRAMES.to_bytes(4, "big") + num_frames.to_bytes(4, "big")
    if len(delays) == 3:
        # The delay is kept; the padding at the end is no longer known.
        delay = int.from_bytes(delays, "big") >> 12
        frame[at + 12 : at + 16] = b"LAME"
        frame[at + 12 + _DELAYS_AT : at + 12 + _DELAYS_AT + 3] = (delay << 12).to_bytes(3, "big")
    return bytes(frame)

"""Chunk formats: WAV, RF64, W64, AIFF and CAF; and AU, which has one header and the samples.

The stated size of the samples is trusted if another chunk, another recording, zeros or the end of the file follows
them. Otherwise the samples extend to the end of the file.
"""

import dataclasses
import struct

from common.audio.containers import mpeg
from common.audio.containers.content import RECORDINGS, Content, Part

_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_LARGEST = 2**32 - 1
# 32-bit sizes from here on are placeholders of programs that do not know the size.
_UNKNOWN_FROM = 2**31 - 2**16
_LONGEST_HEADER = 2**24
_SEARCHED = 2**16
# WAV formats with a fixed sample size: integer, floating point, A-law, mu-law, and the extensible format.
_PLAIN = (1, 3, 6, 7, 0xFFFE)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The chunk layout of a format.

    Attributes:
        first: Offset of the first chunk from the beginning of the file.
        header: `struct` format of a chunk header, identifier and size.
        data: Identifier of the chunk of samples.
        alignment: Chunks begin at multiples of this.
        counts_header: Whether the size of a chunk includes its header.
        signature: Bytes that identify the format, and their offset.
        before_samples: Bytes in the chunk of samples before the first sample.
    """

    first: int
    header: str
    data: bytes
    signature: tuple[bytes, int]
    alignment: int = 2
    counts_header: bool = False
    before_samples: int = 0

    @property
    def header_bytes(self) -> int:
        return struct.calcsize(self.header)

    def size_of(self, stated: int) -> int:
        """Return the size of the content of a chunk."""
        return stated - self.header_bytes if self.counts_header else stated


_LITTLE = _Layout(12, "<4sI", b"data", (b"WAVE", 8))
_BIG = _Layout(12, ">4sI", b"data", (b"WAVE", 8))
_AIFF = _Layout(12, ">4sI", b"SSND", (b"AIF", 8), before_samples=8)
_CAF = _Layout(8, ">4sQ", b"data", (b"caff\x00\x01\x00\x00desc", 0), alignment=1, before_samples=4)
_W64 = _Layout(40, "<16sQ", _W64_DATA, (_W64_RIFF, 0), alignment=8, counts_header=True)
# Chunks that programs write after the samples, in lower case.
_BEHIND = (
    *(
        b"list",
        b"bext",
        b"ixml",
        b"id3 ",
        b"cue ",
        b"smpl",
        b"inst",
        b"fact",
        b"peak",
        b"plst",
        b"adtl",
        b"labl",
        b"note",
    ),
    *(
        b"junk",
        b"fllr",
        b"axml",
        b"chna",
        b"umid",
        b"levl",
        b"cart",
        b"acid",
        b"strc",
        b"disp",
        b"afsp",
        b"minf",
        b"elm1",
    ),
    *(
        b"regn",
        b"mark",
        b"comt",
        b"name",
        b"auth",
        b"anno",
        b"appl",
        b"midi",
        b"aesd",
        b"(c) ",
        b"_pmx",
        b"md5 ",
        b"sndm",
    ),
)
_TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")


def part(content: Content, begin: int) -> Part | None:
    """Return the recording that begins at `begin`, or None for other formats."""
    head = content.read(begin, 16)
    if head[:4] == b".snd":
        return _au(content, begin)
    layout = _layout(head)
    found = layout and _find_samples(content, begin, layout)
    if not found:
        return None
    position, stated = found
    first = position + layout.header_bytes
    end, next_chunk = _end_of_samples(content, layout, begin, first, stated)
    header = content.read(begin, first - begin)
    if (begin, end) == (0, first + stated) and next_chunk == content.size:
        return Part(((0, content.size),), content.size)
    wide = head[:4] in (b"RF64", b"BW64")
    replaced = _with_size(header, layout, end - first, position - begin, wide)
    is_cut = first + stated > end and not _is_unknown(layout, stated, wide)
    frame_bytes = _frame_bytes(header, layout)
    return Part(
        (replaced, (first, end)),
        next_chunk,
        (stated - layout.before_samples) // frame_bytes if is_cut and frame_bytes else 0,
        lacks_end=is_cut and not frame_bytes,
        num_left=content.size - end if next_chunk == end and not is_cut else 0,
    )


def _layout(head: bytes) -> _Layout | None:
    if head[8:12] == b"WAVE":
        return _BIG if head[:4] == b"RIFX" else _LITTLE if head[:4] in (b"RIFF", b"RF64", b"BW64") else None
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _AIFF
    if head[:4] == b"caff":
        return _CAF
    return _W64 if head == _W64_RIFF else None


def _find_samples(content: Content, begin: int, layout: _Layout) -> tuple[int, int] | None:
    """Return the position of the chunk of samples, and its stated size."""
    position = begin + layout.first
    wide_size = None
    while (chunk := _chunk(content, layout, position, begin)) is not None:
        name, size, following = chunk
        if name == b"ds64":
            wide_size = struct.unpack("<Q", content.read(position + 16, 8).ljust(8, b"\0"))[0]
        if name == layout.data:
            return position, size if wide_size is None else wide_size
        position = following
    return None


def _chunk(content: Content, layout: _Layout, position: int, begin: int = 0) -> tuple[bytes, int, int] | None:
    """Return the name and size of a chunk, and the position of the next one; None if there is no plausible chunk.

    The size of the chunk of samples is not checked here.
    """
    head = content.read(position, layout.header_bytes)
    if len(head) < layout.header_bytes:
        return None
    name, stated = struct.unpack(layout.header, head)
    size = layout.size_of(stated)
    if not all(32 <= letter < 127 for letter in name[:4]) or size < 0:
        return None
    following = position + layout.header_bytes + size
    following += -(following - begin) % layout.alignment
    if name != layout.data and following > content.size + layout.alignment:
        return None
    return name, size, min(following, content.size)


def _end_of_samples(content: Content, layout: _Layout, begin: int, first: int, stated: int) -> tuple[int, int]:
    """Return the end of the samples, and the end of the recording."""
    end = first + stated
    if not _is_unknown(layout, stated) and end <= content.size and (stated or first == content.size):
        for padding in range(layout.alignment if layout.alignment > 1 else 1):
            after = _end_of_chunks(content, layout, end + padding)
            if after is not None:
                return end, after
        following = _next_recording(content, layout, first)
        if following < end:
            return following, following  # This recording was truncated, and another one appended.
        whole = _end_of_container(content, layout, begin)
        if whole in range(end, end + layout.alignment):
            return end, end  # Both stated sizes agree: what follows is not part of the recording.
        if whole is not None and _reaches(content, layout, end, whole):
            return end, whole
    elif not stated and _end_of_chunks(content, layout, first) == content.size:
        return first, content.size
    # The size is unknown: read to the end of the file or to the next recording.
    following = _next_recording(content, layout, first)
    return _before_chunks(content, layout, first, following), following


def _next_recording(content: Content, layout: _Layout, position: int) -> int:
    """Return the position of the next recording of the format, or the end of the file."""
    signature, offset = layout.signature
    position += offset
    while (position := content.find(signature, position)) >= 0:
        if content.read(position - offset, 4) in RECORDINGS:
            return position - offset
        position += 1
    return content.size


def _end_of_container(content: Content, layout: _Layout, begin: int) -> int | None:
    """Return the end of the recording by the size in its first header; None if that size is missing or invalid."""
    if layout is _CAF:
        return None
    if layout is _W64:
        end = begin + int.from_bytes(content.read(begin + 16, 8), "little")
    elif content.read(begin, 4) in (b"RF64", b"BW64"):
        end = begin + 8 + int.from_bytes(content.read(begin + 20, 8), "little")
    else:
        end = begin + 8 + struct.unpack(layout.header[0] + "I", content.read(begin + 4, 4))[0]
    return end if begin + 12 < end <= content.size else None


def _reaches(content: Content, layout: _Layout, position: int, end: int) -> bool:
    """Whether consecutive chunks of any name end exactly at the end of the recording."""
    while position < end:
        head = content.read(position, layout.header_bytes)
        if len(head) < layout.header_bytes or not any(head):
            return False
        size = layout.size_of(struct.unpack(layout.header, head)[1])
        position += layout.header_bytes + size + size % layout.alignment
        if size < 0:
            return False
    return position in range(end, end + layout.alignment)


def _before_chunks(content: Content, layout: _Layout, first: int, end: int) -> int:
    """Return the position of the chunks after the samples, at the end of the recording; `end` if there are none."""
    begin = max(first, end - _SEARCHED)
    window = content.read(begin, end - begin).lower()
    found = (window.find(name) for name in _BEHIND)
    for at in sorted(position for position in found if position >= 0):
        if _reaches(content, layout, begin + at, end):
            return begin + at
    return end


def _end_of_chunks(content: Content, layout: _Layout, position: int) -> int | None:
    """Follow chunks to the end of the recording; None if there is no chunk at `position`, so it may be samples."""
    known = False
    while position < content.size:
        if content.read(position, 4) in RECORDINGS or content.read(position, 11).startswith(_TAGS):
            return position
        rest = content.first_nonzero(position)
        if rest >= content.size or content.read(rest, 4) in RECORDINGS or mpeg.begins(content, position):
            return position
        known = known or content.read(position, 4).lower() in _BEHIND
        chunk = _chunk(content, layout, position)
        if chunk is None or chunk[0] == layout.data:
            # After a known chunk, others may be truncated or have a wrong size.
            return _next_recording(content, layout, position) if known else None
        position = chunk[2]
    return content.size


def _is_unknown(layout: _Layout, stated: int, wide: bool = False) -> bool:
    """Whether a size is a placeholder of programs that do not know it."""
    if layout.header.endswith("I") and not wide and stated <= _LARGEST:
        return stated >= _UNKNOWN_FROM
    return stated >= 2**62


def _with_size(header: bytes, layout: _Layout, size: int, at: int, wide: bool) -> bytes:
    """Return the bytes before the samples with the real size of the samples."""
    counted = size + layout.header_bytes if layout.counts_header else size
    name = header[at : at + layout.header_bytes - struct.calcsize(layout.header[0] + layout.header[-1])]
    if layout is _CAF:
        return header[:at] + struct.pack(layout.header, name, counted)
    if layout is _W64:
        total = struct.pack("<Q", len(header) + size)
        return header[:16] + total + header[24:at] + struct.pack(layout.header, name, counted)
    if wide or len(header) + size > _LARGEST:
        return _rf64(header, at, size)
    changed = bytearray(header[:at] + struct.pack(layout.header, name, counted))
    struct.pack_into(layout.header[0] + "I", changed, 4, len(header) + size - 8)
    if layout is _AIFF:
        common = changed.find(b"COMM")
        frame_bytes = _frame_bytes(header, layout)
        if frame_bytes and changed[8:12] == b"AIFF":
            struct.pack_into(">I", changed, common + 10, max(0, size - layout.before_samples) // frame_bytes)
    return bytes(changed)


def _rf64(header: bytes, at: int, size: int) -> bytes:
    """Return an RF64 header, which stores 64-bit sizes in a separate chunk."""
    chunks = header[12:at]
    if chunks[:4] == b"ds64":
        chunks = chunks[8 + struct.unpack("<I", chunks[4:8])[0] :]
    total = 12 + 36 + len(chunks) + 8 + size - 8
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, total, size, 0, 0)
    return b"RF64" + struct.pack("<I", _LARGEST) + b"WAVE" + sizes + chunks + b"data" + struct.pack("<I", _LARGEST)


def _frame_bytes(header: bytes, layout: _Layout) -> int:
    """Return the bytes per sample over all channels; 0 for compressed encodings."""
    try:
        if layout is _AIFF:
            channels, bits = struct.unpack_from(">h4xh", header, header.index(b"COMM") + 8)
            return channels * -(-bits // 8)
        if layout is _CAF:
            return struct.unpack_from(">I", header, header.index(b"desc") + 12 + 16)[0]
        order = layout.header[0]
        at = header.index(b"fmt ") + (24 if layout is _W64 else 8)
        kind, size = (struct.unpack_from(f"{order}H", header, at + offset)[0] for offset in (0, 12))
        return size if kind in _PLAIN else 0
    except (ValueError, struct.error):
        return 0


def _au(content: Content, begin: int) -> Part | None:
    head = content.read(begin, 24)
    if len(head) < 24:
        return None
    _, offset, stated, encoding, _, channels = struct.unpack(">6I", head)
    first = begin + offset
    if not 24 <= offset <= _LONGEST_HEADER or first > content.size:
        return None
    stated_end = first + stated
    known = stated and stated < _UNKNOWN_FROM and stated_end <= content.size
    after = _end_of_chunks(content, _AIFF, stated_end) if known else None
    end = stated_end if after is not None else content.size
    if begin == 0 and end == stated_end and after == content.size:
        return Part(((0, content.size),), content.size)
    header = content.read(begin, offset)
    size = min(end - first, _LARGEST)
    samples = 0
    if stated < _UNKNOWN_FROM and stated_end > content.size:
        widths = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}
        samples = stated // max(1, channels * widths.get(encoding, 1))
    return Part((header[:8] + struct.pack(">I", size) + header[12:], (first, end)), after or end, samples)

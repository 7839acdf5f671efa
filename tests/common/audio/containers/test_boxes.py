"""Where one M4A, WMA or WebM ends and another begins."""

import io

from common.audio.containers import boxes
from common.audio.containers.content import Content


def box(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content


MP4 = box(b"ftyp", b"M4A ") + box(b"mdat", b"\0" * 100) + box(b"moov", b"x" * 50)


def part_of(content: bytes, begin: int = 0):
    return boxes.part(Content(io.BytesIO(content)), begin)


def test_joined_files_are_told_apart():
    part = part_of(MP4 + MP4)
    assert part.pieces == ((0, len(MP4)),) and part.end == len(MP4)
    assert part_of(MP4 + MP4, len(MP4)).pieces == ((len(MP4), 2 * len(MP4)),)


def test_sizes_of_64_bits_and_none_are_understood():
    wide = (1).to_bytes(4, "big") + b"mdat" + (116).to_bytes(8, "big") + bytes(100)
    to_the_end = bytes(4) + b"mdat" + bytes(70)
    for content in (box(b"ftyp", b"M4A ") + wide + box(b"moov", b""), box(b"ftyp", b"M4A ") + to_the_end):
        assert part_of(content).pieces == ((0, len(content)),) and not part_of(content).lacks_end


def test_a_file_that_breaks_off_lacks_its_end():
    assert part_of(MP4[:60]).lacks_end
    assert not part_of(MP4 + b"TAG" + bytes(125)).lacks_end


def test_other_files_are_none():
    assert part_of(b"RIFF" + bytes(100)) is None and part_of(b"") is None

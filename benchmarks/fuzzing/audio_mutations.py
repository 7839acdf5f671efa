"""Ways to damage audio files where it matters: in the numbers that their headers state."""

import random

from benchmarks.fuzzing import byte_mutations

# What stands before sizes and counts in RIFF, AIFF, CAF, W64, AU, VOC, FLAC, Ogg and MP3.
_TAGS = (
    *(
        b"RIFF",
        b"RF64",
        b"ds64",
        b"fmt ",
        b"data",
        b"fact",
        b"LIST",
        b"PEAK",
        b"FORM",
        b"COMM",
        b"SSND",
        b"VHDR",
        b"BODY",
    ),
    *(b"riff", b".snd", b"caff", b"desc", b"pakt", b"chan", b"Creative Voice File\x1a", b"NIST_1A", b" paf", b"MATLAB"),
    *(
        b"fLaC",
        b"OggS",
        b"vorbis",
        b"OpusHead",
        b"OpusTags",
        b"ID3",
        b"Xing",
        b"Info",
        b"LAME",
        b"\xff\xfb",
        b"\xff\xf3",
    ),
)
_OGG_POLYNOMIAL = 0x04C11DB7


def header_number(rng: random.Random, content: bytes) -> bytes:
    """Change a number that follows a tag."""
    found = [position for tag in _TAGS if (position := content.find(tag)) >= 0]
    if not found:
        return byte_mutations.overwrite_number(rng, content)
    return byte_mutations.put_number(rng, content, rng.choice(found) + rng.choice((4, 4, 8, 12, *range(2, 48))))


def ogg_page(rng: random.Random, content: bytes) -> bytes:
    """Damage a page of an Ogg file and state its right checksum, so that the decoder behind is reached."""
    pages = [position for position in range(len(content)) if content.startswith(b"OggS", position)]
    if not pages:
        return header_number(rng, content)
    index = rng.randrange(len(pages))
    begin, end = pages[index], [*pages, len(content)][index + 1]
    page = rng.choice((byte_mutations.flip_bits, byte_mutations.overwrite_bytes, byte_mutations.overwrite_number))(
        rng, content[begin:end]
    )
    page = page[:22] + bytes(4) + page[26:]
    return content[:begin] + page[:22] + _ogg_checksum(page).to_bytes(4, "little") + page[26:] + content[end:]


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (_OGG_POLYNOMIAL if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_OGG_TABLE = _table()


def _ogg_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ _OGG_TABLE[value >> 24 ^ byte]
    return value


MUTATIONS = (header_number, header_number, ogg_page)

"""Ways to damage any file, whatever its format.

A mutation takes a random generator and the content, and returns other content. All randomness comes from the generator,
so that a seed and a number tell everything.
"""

import random
import struct

INTERESTING = (0, 1, 2, 3, 7, 8, 16, 63, 64, 100, 127, 128, 255, 256, 1024, 4096, 32767, 32768, 65535, 65536)
INTERESTING += (2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**36 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
# What a mutated file may grow to.
MAX_BYTES = 2**20


def flip_bits(rng: random.Random, content: bytes) -> bytes:
    """Flip one to eight bits."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def overwrite_bytes(rng: random.Random, content: bytes) -> bytes:
    """Put random bytes, or one byte again and again, over a stretch."""
    length = rng.choice((1, 1, 2, 4, 16, 64))
    position = rng.randrange(len(content) + 1)
    put = rng.randbytes(length) if rng.random() < 0.5 else bytes([rng.choice((0, 1, 127, 128, 255))]) * length
    return content[:position] + put + content[position + length :]


def overwrite_number(rng: random.Random, content: bytes) -> bytes:
    """Put a number that programs stumble over in place of one, anywhere; half of the time near the beginning."""
    end = min(len(content), 128) if rng.random() < 0.5 else len(content)
    return put_number(rng, content, rng.randrange(end + 1))


def put_number(rng: random.Random, content: bytes, position: int) -> bytes:
    """Put a number that programs stumble over at a position."""
    size, code = rng.choice(((1, "B"), (2, "H"), (4, "I"), (4, "I"), (8, "Q")))
    value = rng.choice(INTERESTING) % 2 ** (8 * size)
    put = struct.pack(rng.choice("<>") + code, value)
    return content[:position] + put + content[position + size :]


def truncate(rng: random.Random, content: bytes) -> bytes:
    """Keep the beginning alone."""
    return content[: rng.randrange(len(content) + 1)]


def insert(rng: random.Random, content: bytes) -> bytes:
    """Insert bytes."""
    position = rng.randrange(len(content) + 1)
    return content[:position] + rng.randbytes(rng.choice((1, 2, 4, 17, 300))) + content[position:]


def delete(rng: random.Random, content: bytes) -> bytes:
    """Leave a stretch out."""
    position, length = rng.randrange(len(content) + 1), rng.choice((1, 2, 4, 17, 300))
    return content[:position] + content[position + length :]


def duplicate(rng: random.Random, content: bytes) -> bytes:
    """Repeat a stretch, where it is or elsewhere."""
    start = rng.randrange(len(content) + 1)
    stretch = content[start : start + rng.choice((1, 8, 64, 1000))] * rng.choice((1, 1, 2, 50))
    position = rng.choice((start, rng.randrange(len(content) + 1)))
    return content[:position] + stretch + content[position:]


def splice(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """Follow the beginning of one file by the end of another."""
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


MUTATIONS = (
    flip_bits,
    overwrite_bytes,
    overwrite_bytes,
    overwrite_number,
    overwrite_number,
    truncate,
    insert,
    delete,
    duplicate,
)

"""Ways to make tar and zip archives evil: names that lead elsewhere, links, devices, bombs, and sizes that are lies."""

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable

from benchmarks.fuzzing import byte_mutations

_NAMES = (
    "../evil",
    "../../evil",
    "/tmp/evil_of_fuzz",
    "a/../../evil",
    "..\\evil",
    "C:\\evil",
    "C:evil",
    ".",
    "",
    "/",
    "a\0b",
)
_NAMES += ("a" * 300, "x/" * 3000 + "y", "\ud800", "\x1b[2J", "yes", "yes/a.wav/b", "~root", "//evil", "./.", "...")
_TYPES = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE)
_TYPES += (tarfile.GNUTYPE_SPARSE, tarfile.DIRTYPE, tarfile.REGTYPE, b"x", b"g", b"L", b"Z")
_COMPRESSIONS = {
    b"\x1f\x8b": (gzip.decompress, lambda content: gzip.compress(content, 1)),
    b"BZ": (bz2.decompress, lambda content: bz2.compress(content, 1)),
    b"\xfd7": (lzma.decompress, lambda content: lzma.compress(content, preset=0)),
}
# Of a bomb, before it is compressed.
ZEROS_BYTES = 20 * 2**20


def tar_content(rng: random.Random, content: bytes) -> bytes:
    """Damage what a compressed tar holds, and compress it again."""
    unpack, pack = _COMPRESSIONS.get(content[:2], (bytes, bytes))
    inner = unpack(content)
    if len(inner) >= 512 and rng.random() < 0.6:
        # A field of a header, with the header's right checksum.
        begin = 512 * rng.randrange(min(8, len(inner) // 512))
        field, length = rng.choice(((0, 100), (100, 8), (124, 12), (124, 12), (156, 1), (157, 100), (345, 155)))
        put = rng.choice(
            (rng.randbytes(length), b"\xff" * length, b"7" * length, b"\x80" + b"\0" * 3 + b"\x7f" * 8, b"-1")
        )
        put = rng.choice(_NAMES).encode("utf-8", "surrogatepass") if length >= 100 and rng.random() < 0.5 else put
        header = bytearray(inner[begin : begin + 512])
        header[field : field + length] = put[:length].ljust(length, b"\0")
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        inner = inner[:begin] + bytes(header) + inner[begin + 512 :]
    else:
        inner = rng.choice(byte_mutations.MUTATIONS)(rng, inner)
    return pack(inner)


def tar_member(rng: random.Random, content: bytes) -> bytes:
    """Put an evil member into a tar."""
    unpack, pack = _COMPRESSIONS.get(content[:2], (bytes, bytes))
    target = io.BytesIO()
    with (
        tarfile.open(fileobj=target, mode="w", format=rng.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))) as archive,
        tarfile.open(fileobj=io.BytesIO(unpack(content))) as source,
    ):
        for entry in source:
            archive.addfile(entry, source.extractfile(entry) if entry.isreg() else None)
        entry = tarfile.TarInfo(rng.choice(_NAMES))
        entry.type, entry.linkname = rng.choice(_TYPES), rng.choice(("../../..", "/etc/passwd", *_NAMES))
        entry.mode = 0o7777
        if rng.random() < 0.3:
            header = rng.choice(("size", "path", "linkpath", "GNU.sparse.size"))
            entry.pax_headers = {header: rng.choice(("-1", "9" * 30, "../evil"))}
        data = b"x" * rng.choice((0, 1, 600)) if rng.random() < 0.95 else bytes(ZEROS_BYTES)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return pack(target.getvalue())


def zip_member(rng: random.Random, content: bytes) -> bytes:
    """Put an evil member into a zip."""
    name = rng.choice([name for name in _NAMES if name != "\ud800"])
    entry = zipfile.ZipInfo(name or "x")
    entry.external_attr = rng.choice((0, 0o120777, 0o020666, 0o040755, 0o010644, 0o100644)) << 16
    entry.compress_type = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    data = b"/etc/passwd" if rng.random() < 0.95 else bytes(ZEROS_BYTES)
    target = io.BytesIO(content)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(entry, data)
    return target.getvalue()


def zip_directory(rng: random.Random, content: bytes) -> bytes:
    """Lie in the directory of a zip, or in a member's own header: sizes, checksums, flags, methods, places."""
    tag, length = rng.choice(((b"PK\1\2", 46), (b"PK\1\2", 46), (b"PK\3\4", 30), (b"PK\5\6", 22)))
    found = [position for position in range(len(content)) if content.startswith(tag, position)]
    if not found:
        return byte_mutations.overwrite_number(rng, content)
    position = rng.choice(found)
    if tag == b"PK\1\2" and rng.random() < 0.3:
        # The flags (encrypted, UTF-8) and the method.
        put = struct.pack("<HH", rng.choice((0, 1, 8, 0x800, 0xFFFF)), rng.choice((0, 8, 9, 12, 14, 93, 95, 99)))
        return content[: position + 8] + put + content[position + 12 :]
    return byte_mutations.put_number(rng, content, position + rng.randrange(4, length))


def change_zip_member(rng: random.Random, content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Replace a member of a zip by what `change` makes of it, with the right checksum.

    Args:
        rng: Decides how it is compressed.
        content: The zip.
        name: The member.
        change: Takes the member's content and returns another.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            data = source.read(entry)
            compression = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            archive.writestr(entry.filename, change(data) if entry.filename == name else data, compression)
    return target.getvalue()


def zip_names(content: bytes) -> list[str]:
    """List the members of a zip."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        return source.namelist()


def zip_content(rng: random.Random, content: bytes) -> bytes:
    """Damage a member of a zip, and state its right checksum."""
    change = rng.choice(byte_mutations.MUTATIONS)
    return change_zip_member(rng, content, rng.choice(zip_names(content)), lambda data: change(rng, data))


TAR_MUTATIONS = (tar_content, tar_content, tar_member)
ZIP_MUTATIONS = (zip_member, zip_directory, zip_directory, zip_content)

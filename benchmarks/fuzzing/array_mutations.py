"""Ways to make files of arrays evil: npz with pickles, `.keras` with code and links, TFRecord with wrong lengths.

What would show that something was executed, or that another file was read, is named by `CANARY` and `SECRET`.
"""

import io
import json
import os
import pickle
import random
import struct
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

from benchmarks.fuzzing import archive_mutations, byte_mutations, text_mutations

# A file that only executed code makes.
CANARY = Path(tempfile.gettempdir()) / "canary_of_fuzz"
_WEIGHTS = "model.weights.h5"
_DTYPES = (
    "'|O'",
    "'<f8'",
    "'<U99999999'",
    "'|V0'",
    "'<f4'",
    "'|S0'",
    "'<M8[ns]'",
    "[('a', '<f4')]",
    "'<c16'",
    "'|b1'",
    "'x'",
)
_SHAPES = (
    "(99999999999,)",
    "(-1,)",
    "()",
    "(0,)",
    "(4611686018427387904, 4)",
    "(2, 3)",
    "(1,) * 99",
    "1",
    "(1.5,)",
    "(True,)",
)


class Evil:
    """Unpickled, it makes a file."""

    def __reduce__(self):
        """Return what unpickling calls."""
        return (os.mkdir, (str(CANARY),))


def npy_pickle(rng: random.Random, content: bytes) -> bytes:
    """Return a `.npy` that holds an object, or a bare pickle."""
    if rng.random() < 0.3:
        return pickle.dumps(Evil())
    target = io.BytesIO()
    np.lib.format.write_array(target, np.array([Evil()], object), allow_pickle=True)
    return target.getvalue()


def npy_header(rng: random.Random, content: bytes) -> bytes:
    """Return a `.npy` whose header states another type or shape than the data has."""
    header = {"descr": "'<f4'", "fortran_order": rng.choice(("True", "False", "1")), "shape": "(3,)"}
    header |= rng.choice(({"descr": rng.choice(_DTYPES)}, {"shape": rng.choice(_SHAPES)}))
    text = "{" + ", ".join(f"'{name}': {value}" for name, value in header.items()) + "}"
    text = rng.choice((text, text, text, "(" * 500, "[" * 9000, text + " " * 20_000, "{'descr': " + "-" * 9000))
    encoded = text.encode() + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(encoded) % 65536) + encoded + content[-64:]


def npz_member(rng: random.Random, content: bytes) -> bytes:
    """Put an evil array in place of one in an npz."""
    names = archive_mutations.zip_names(content)
    change = rng.choice((npy_pickle, npy_header, npy_header, *byte_mutations.MUTATIONS[:4]))
    return archive_mutations.change_zip_member(rng, content, rng.choice(names), lambda data: change(rng, data))


def npz_text(rng: random.Random, content: bytes) -> bytes:
    """Change the JSON text that the backup of a run holds among its arrays."""

    def change(data: bytes) -> bytes:
        text = str(np.load(io.BytesIO(data))).encode()
        text = rng.choice(text_mutations.JSON_MUTATIONS)(rng, text)
        target = io.BytesIO()
        np.save(target, np.array(text.decode("utf-8", "replace")))
        return target.getvalue()

    return archive_mutations.change_zip_member(rng, content, "progress.npy", change)


def keras_config(rng: random.Random, content: bytes) -> bytes:
    """Give a `.keras` file a configuration with a Lambda layer or some other thing that executes when it is rebuilt."""
    code = {"class_name": "__lambda__", "config": {"value": "4wAAAAA=", "defaults": None, "closure": None}}
    layer = rng.choice(
        (
            {"class_name": "Lambda", "module": "keras.layers", "config": {"function": code, "name": "evil"}},
            {"class_name": "function", "module": "os", "config": "system", "registered_name": "function"},
            {"class_name": "Popen", "module": "subprocess", "config": {"args": ["mkdir", str(CANARY)]}},
        )
    )
    evil = json.dumps({"class_name": "Sequential", "module": "keras", "config": {"layers": [layer]}}).encode()
    return archive_mutations.change_zip_member(rng, content, "config.json", lambda data: evil)


def keras_weights(rng: random.Random, content: bytes) -> bytes:
    """Damage the HDF5 file in a `.keras` file, its links and sizes above all, and state its right checksum."""
    change = rng.choice((evil_hdf5, *byte_mutations.MUTATIONS))
    return archive_mutations.change_zip_member(rng, content, _WEIGHTS, lambda data: change(rng, data))


def evil_hdf5(rng: random.Random, content: bytes) -> bytes:
    """Put links, external or virtual data, huge or odd arrays in place of a weight."""
    file = io.BytesIO(content)
    with h5py.File(file, "a") as store:
        places: list[str] = []
        store.visititems(lambda name, item: places.append(name))
        put_evil(rng, store, rng.choice(places), rng.randrange(10))
    return file.getvalue()


def put_evil(rng: random.Random, store: h5py.File, place: str, kind: int) -> None:
    """Put something evil of a kind (0 to 9) at a place of an HDF5 file."""
    shape = getattr(store[place], "shape", (4,))
    del store[place]
    if kind == 0:
        store[place] = h5py.ExternalLink(rng.choice(("/etc/passwd", "other.h5", "../secret.h5")), "/layers")
    elif kind == 1:
        store[place] = h5py.SoftLink(rng.choice(("/", place, "/nowhere", "/layers")))
    elif kind == 2:
        layout = h5py.VirtualLayout(shape=shape or (1,), dtype="f4")
        layout[...] = h5py.VirtualSource("../secret.h5", "secret", shape=shape or (1,))
        store.create_virtual_dataset(place, layout, fillvalue=0)
    elif kind == 3:
        store.create_dataset(place, shape or (1,), "f4", external=[("/etc/passwd", 0, 4 * max(1, int(np.prod(shape))))])
    elif kind == 4:
        store.create_dataset(place, (2**20, 2**14), "f4", chunks=(1024, 1024), compression="gzip")
    elif kind == 5:
        store.create_dataset(place, shape, h5py.string_dtype())
    elif kind == 6:
        store.create_dataset(place, shape, rng.choice(("f8", "i1", "c16", "S3", [("a", "f4")], "f2", h5py.ref_dtype)))
    elif kind == 7:
        store[place] = store["/"]
    elif kind == 8:
        store.create_group(place)
    else:
        store.create_dataset(place, data=np.zeros(0, "f4") if rng.random() < 0.5 else h5py.Empty("f4"))


def keras_bomb(rng: random.Random, content: bytes) -> bytes:
    """Follow the weights by, or replace them with, zeros that take no room while they are compressed."""
    target = io.BytesIO()
    zeros = bytes(archive_mutations.ZEROS_BYTES)
    if rng.random() < 0.8:
        return archive_mutations.zip_directory(rng, content)
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_WEIGHTS, source.read(_WEIGHTS) + zeros if rng.random() < 0.5 else zeros)
    return target.getvalue()


def record_length(rng: random.Random, content: bytes) -> bytes:
    """State another length of a TFRecord, half of the time with the right checksum."""
    begin, length = rng.choice(_records(content))
    length = rng.choice((*byte_mutations.INTERESTING, length - 1, length + 1, length * 2)) % 2**64
    stated = struct.pack("<Q", length)
    checksum = _checksum(stated) if rng.random() < 0.7 else content[begin + 8 : begin + 12]
    return content[:begin] + stated + checksum + content[begin + 12 :]


def record_content(rng: random.Random, content: bytes) -> bytes:
    """Damage a TFRecord, and state its right length and checksums."""
    begin, length = rng.choice(_records(content))
    data = rng.choice(byte_mutations.MUTATIONS)(rng, content[begin + 12 : begin + 12 + length])
    stated = struct.pack("<Q", len(data))
    record = stated + _checksum(stated) + data + _checksum(data)
    return content[:begin] + record * rng.choice((1, 1, 1, 2, 0)) + content[begin + length + 16 :]


def _records(content: bytes) -> list[tuple[int, int]]:
    """Return where each TFRecord begins, and its length."""
    found, position = [], 0
    while position + 16 <= len(content):
        (length,) = struct.unpack_from("<Q", content, position)
        if position + 16 + length > len(content):
            break
        found.append((position, length))
        position += 16 + length
    return found or [(0, 0)]


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC32C_TABLE = _table()


def _checksum(data: bytes) -> bytes:
    """Return the masked CRC-32C that TFRecord states."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC32C_TABLE[(value ^ byte) & 0xFF]
    value ^= 0xFFFFFFFF
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


NPZ_MUTATIONS = (npz_member, npz_member, npz_text, *archive_mutations.ZIP_MUTATIONS)
KERAS_MUTATIONS = (keras_weights,) * 6 + (keras_config, keras_bomb, archive_mutations.zip_directory)
RECORD_MUTATIONS = (record_length, record_content)

"""Safe loading of arrays: only plain data, and never more than the file size."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np

_SUFFIX = ".npy"


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Read the arrays that `numpy.savez` wrote.

    Nothing is executed, and a small file cannot allocate much memory: pickled objects, compressed members and headers
    whose length differs from that of the data are rejected.

    Args:
        path: The file.

    Returns:
        The arrays by name, in stored order.

    Raises:
        ValueError: The file is missing, damaged, or contains anything but numbers and text; the message is one line.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                entry.filename.removesuffix(_SUFFIX): _array(read_member(archive, entry.filename))
                for entry in archive.infolist()
            }
    except Exception as error:  # zipfile, NumPy and the parser of the header raise many types.
        raise ValueError(f"{error}" or type(error).__name__) from error


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return an uncompressed member of a zip file; its checksum is verified.

    Raises:
        ValueError: It is compressed, so it may be much larger than the file.
        zipfile.BadZipFile: It is damaged.
        KeyError: It does not exist.
    """
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise ValueError(f"{name} is compressed; expected an uncompressed member")
    content = archive.read(entry)
    if len(content) != entry.file_size:
        raise zipfile.BadZipFile(f"{name} ends after {len(content)} of {entry.file_size} bytes")
    return content


def _array(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"an array has format version {version}; expected {' or '.join(map(str, readers))}")
    shape, is_fortran, kind = readers[version](file)
    if kind.hasobject:
        raise ValueError("an array contains Python objects; expected numbers")
    num_bytes = math.prod(shape) * kind.itemsize
    if min(shape, default=0) < 0 or num_bytes != len(content) - file.tell():
        present = len(content) - file.tell()
        raise ValueError(f"an array of shape {shape} and type {kind} takes {num_bytes} bytes; the file has {present}")
    # A copy, because arrays from `frombuffer` are read-only.
    array = np.frombuffer(content, kind, math.prod(shape), file.tell()).copy() if num_bytes else np.empty(shape, kind)
    return array.reshape(shape, order="F" if is_fortran else "C")

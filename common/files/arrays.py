"""Arrays in a file, read without trust: numbers alone, and no more of them than the file has bytes for."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np

_SUFFIX = ".npy"


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Read the arrays that `numpy.savez` wrote.

    Nothing is executed, and a small file cannot ask for much memory: pickled objects and compressed members, which
    nothing here writes, are refused, and so are headers that state another length than the data has.

    Args:
        path: The file.

    Returns:
        The arrays by name, in the order in which they are stored.

    Raises:
        ValueError: The file is missing, damaged, or holds anything but numbers and texts; the message is one line.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                entry.filename.removesuffix(_SUFFIX): _array(read_member(archive, entry.filename))
                for entry in archive.infolist()
            }
    except Exception as error:  # The layers of the format, down to Python's own parser, have exceptions of their own.
        raise ValueError(f"{error}" or type(error).__name__) from error


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a member of a zip that is stored as it is, its checksum checked.

    Raises:
        ValueError: It is compressed, so that its length may have nothing to do with that of the file.
        zipfile.BadZipFile: It is damaged.
        KeyError: It is not there.
    """
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise ValueError(f"{name} is compressed; expected it as it is")
    content = archive.read(entry)
    if len(content) != entry.file_size:
        raise zipfile.BadZipFile(f"{name} ends after {len(content)} of {entry.file_size} bytes")
    return content


def _array(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"an array is of version {version}; expected {' or '.join(map(str, readers))}")
    shape, is_fortran, kind = readers[version](file)
    if kind.hasobject:
        raise ValueError("an array holds Python objects; expected numbers")
    num_bytes = math.prod(shape) * kind.itemsize
    if min(shape, default=0) < 0 or num_bytes != len(content) - file.tell():
        raise ValueError(
            f"an array of shape {shape} and type {kind} takes {num_bytes} bytes; there are {len(content) - file.tell()}"
        )
    # A copy, for what is read from bytes cannot be written to.
    array = np.frombuffer(content, kind, math.prod(shape), file.tell()).copy() if num_bytes else np.empty(shape, kind)
    return array.reshape(shape, order="F" if is_fortran else "C")

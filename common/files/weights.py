"""Check a `model.keras` before Keras loads its weights.

Keras and HDF5 do not protect against malicious files: links and "virtual" or "external" data of HDF5 lead to other
files, a compressed array of a few bytes can fill the memory, and checksums are not verified. All files written by
training pass the check. The rest of the file, such as its `config.json`, is never read.
"""

import io
import zipfile
from pathlib import Path

import h5py

from common.files import arrays

_WEIGHTS = "model.weights.h5"


def check(path: str | Path) -> None:
    """Check that the weights in a `.keras` file are intact, numeric, and stored in the file itself.

    Args:
        path: The file.

    Raises:
        ValueError: They are not. The message is one line.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = arrays.read_member(archive, _WEIGHTS)
        with h5py.File(io.BytesIO(content), "r") as store:
            _check_group(store, len(content), set())
    except Exception as error:  # zipfile and h5py raise many types.
        raise ValueError(f"{error}" or type(error).__name__) from error


def _check_group(group: h5py.Group, num_bytes: int, seen: set[int]) -> None:
    for name in group:
        if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
            raise ValueError(f"{name} is a link; expected weights")
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            raise ValueError(f"{name} is stored more than once; expected it once")
        seen.add(address)
        if isinstance(item, h5py.Group):
            _check_group(item, num_bytes, seen)
        elif not isinstance(item, h5py.Dataset) or item.external or item.is_virtual or item.dtype.hasobject:
            raise ValueError(f"{name} is not a numeric array stored in this file")
        elif item.nbytes > num_bytes:
            raise ValueError(f"{name} would take {item.nbytes} bytes, the file has {num_bytes}")

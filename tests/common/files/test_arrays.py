import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from common.files import arrays


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def with_header(header):
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + bytes(12)


def archive(path, content, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as target:
        target.writestr("a.npy", content)
    return path


def test_what_numpy_wrote_is_read_as_it_is(tmp_path):
    written = {
        "numbers": np.arange(12, dtype=np.float32).reshape(3, 4),
        "turned": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "none": np.zeros((0, 5)),
        "one": np.array(2.5),
        "text": np.array("a text"),
    }
    np.savez(tmp_path / "a.npz", **written)
    found = arrays.read(tmp_path / "a.npz")
    assert list(found) == list(written)
    for name, array in written.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype and found[name].flags.writeable


def test_a_pickle_is_refused_and_not_executed(tmp_path):
    made = tmp_path / "made"
    for content in (npy(np.array([Evil(str(made))], object)), pickle.dumps(Evil(str(made)))):
        with pytest.raises(ValueError):
            arrays.read(archive(tmp_path / "a.npz", content))
    assert not made.exists()
    # The proof that it would have been.
    np.load(io.BytesIO(npy(np.array([Evil(str(made))], object))), allow_pickle=True)
    assert made.exists()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,)}\n",
            "takes 399999999996 bytes; the file has 12",
        ),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}\n", "the file has 12"),
        ("{'descr': '<U99999999', 'fortran_order': False, 'shape': (3,)}\n", "the file has 12"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (3,)}\n", "Python objects"),
        ("[" * 9000, ""),
        ("{'descr': ", ""),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path, header, message):
    with pytest.raises(ValueError, match=message):
        arrays.read(archive(tmp_path / "a.npz", with_header(header)))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = archive(tmp_path / "a.npz", npy(np.zeros(10**6)), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 20_000
    with pytest.raises(ValueError, match="is compressed"):
        arrays.read(path)


def test_damage_is_told(tmp_path):
    path = archive(tmp_path / "a.npz", npy(np.arange(100)))
    whole = path.read_bytes()
    flags = whole.index(b"PK\1\2") + 8
    for content in (
        whole[:200],
        b"",
        whole.replace(np.arange(50, 60).tobytes(), bytes(80)),  # its checksum is wrong
        whole[:flags] + b"\1" + whole[flags + 1 :],  # encrypted
        whole[: flags + 2] + b"\x63" + whole[flags + 3 :],  # compressed in a way that nobody knows
        npy(np.arange(3)),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError):
            arrays.read(path)
    with pytest.raises(ValueError):
        arrays.read(tmp_path / "absent.npz")

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest

from common import runs
from common.errors import UserError
from common.files import weights

_WEIGHTS = "model.weights.h5"


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(3, name="dense")(inputs))


@pytest.fixture
def run_dir(tmp_path, model):
    (tmp_path / "run").mkdir()
    model.save(tmp_path / "run" / "model.keras")
    return tmp_path / "run"


def change(run_dir, edit, compression=zipfile.ZIP_STORED):
    """Edit the HDF5 file within `model.keras`, checksums and all."""
    path = run_dir / "model.keras"
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    file = io.BytesIO(contents[_WEIGHTS])
    with h5py.File(file, "a") as store:
        edit(store, kernel_of(store))
    contents[_WEIGHTS] = file.getvalue()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def kernel_of(store):
    found = []
    store.visititems(lambda name, item: found.append(name) if getattr(item, "shape", ()) == (4, 3) else None)
    return found[0]


def refused(model, run_dir, message):
    before = [np.array(weight) for weight in model.get_weights()]
    with pytest.raises(UserError, match=message):
        runs.load_weights(model, run_dir)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_what_training_wrote_passes(model, run_dir):
    weights.check(run_dir / "model.keras")
    kernel = model.get_weights()[0]
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    runs.load_weights(model, run_dir)
    np.testing.assert_array_equal(model.get_weights()[0], kernel)


@pytest.fixture
def secret(tmp_path):
    """A file elsewhere with an array of the kernel's shape, which nothing may read."""
    with h5py.File(tmp_path / "secret.h5", "w") as store:
        store["secret"] = np.full((4, 3), 7, "f4")
    return str(tmp_path / "secret.h5")


def external_link(store, kernel, secret):
    store[kernel] = h5py.ExternalLink(secret, "secret")


def virtual(store, kernel, secret):
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[...] = h5py.VirtualSource(secret, "secret", (4, 3))
    store.create_virtual_dataset(kernel, layout)


def external_data(store, kernel, secret):
    store.create_dataset(kernel, (4, 3), "f4", external=[(secret, 0, 48)])


def soft_link(store, kernel, secret):
    store[kernel] = h5py.SoftLink("/")


def loop(store, kernel, secret):
    store[kernel] = store["/"]


def huge(store, kernel, secret):
    store.create_dataset(kernel, (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")


def texts(store, kernel, secret):
    store.create_dataset(kernel, (4, 3), h5py.string_dtype())


EVIL = {
    external_link: "is a link",
    soft_link: "is a link",
    virtual: "not a numeric array stored in this file",
    external_data: "not a numeric array stored in this file",
    texts: "not a numeric array stored in this file",
    huge: "would take 4398046511104 bytes",
    loop: "more than once|is no array",
}


@pytest.mark.parametrize("put", EVIL, ids=lambda put: put.__name__)
def test_links_and_bombs_within_are_refused(model, run_dir, secret, put):
    def edit(store, kernel):
        del store[kernel]
        put(store, kernel, secret)

    change(run_dir, edit)
    refused(model, run_dir, f"cannot load .*model.keras: .*({EVIL[put]}).*; train again")


def test_compressed_weights_are_refused_before_they_are_unpacked(model, run_dir):
    change(run_dir, lambda store, kernel: None, zipfile.ZIP_DEFLATED)
    refused(model, run_dir, "model.weights.h5 is compressed")


def test_a_flipped_bit_is_noticed(model, run_dir):
    path = run_dir / "model.keras"
    kernel = model.get_weights()[0].tobytes()
    flipped = bytes([kernel[0] ^ 1]) + kernel[1:]
    path.write_bytes(path.read_bytes().replace(kernel, flipped))
    refused(model, run_dir, "Bad CRC-32")


def test_a_file_that_is_none_is_told(model, run_dir):
    for content in (b"", b"PK\3\4", (run_dir / "model.keras").read_bytes()[:500]):
        (run_dir / "model.keras").write_bytes(content)
        refused(model, run_dir, "train again")

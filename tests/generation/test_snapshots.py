import keras
import numpy as np
import pytest

from common.errors import UserError
from generation import snapshots


def network(units=3):
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])


def test_an_earlier_epoch_comes_back(tmp_path):
    first, later = network(), network()
    snapshots.save(first, tmp_path, 2)
    snapshots.save(later, tmp_path, 10)
    assert snapshots.epochs(tmp_path) == [2, 10]
    snapshots.load(later, tmp_path, 2)
    for mine, other in zip(later.get_weights(), first.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_an_epoch_that_is_not_there_or_of_another_network(tmp_path):
    with pytest.raises(UserError, match="epoch: no snapshot of epoch 7, expected one of the saved epochs: none"):
        snapshots.check(tmp_path, 7)
    snapshots.save(network(), tmp_path, 2)
    snapshots.check(tmp_path, 2)
    with pytest.raises(UserError, match="no snapshot of epoch 7, expected one of the saved epochs: 2"):
        snapshots.load(network(), tmp_path, 7)
    with pytest.raises(UserError, match=r"cannot read .*epoch_0002\.npz: .*; choose another epoch"):
        snapshots.load(network(4), tmp_path, 2)
    (tmp_path / "snapshots/epoch_0002.npz").write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot read"):
        snapshots.load(network(), tmp_path, 2)

import contextlib

import keras
import numpy as np
import pytest

from common.files import locks
from common.training import session


@pytest.mark.parametrize("fails", [False, True])
def test_precision_and_locks_are_set_back_however_a_training_ends(fails, tmp_path):
    np.random.seed(3)
    expected = np.random.get_state()[1].copy()
    folder = tmp_path / "run"
    locks.acquire(tmp_path / "other")
    with pytest.raises(ZeroDivisionError) if fails else contextlib.nullcontext(), session.restored(folder):
        keras.utils.set_random_seed(5)
        keras.config.set_dtype_policy("mixed_bfloat16")
        locks.acquire(folder)
        locks.acquire(folder / "teachers" / "0")
        if fails:
            raise ZeroDivisionError
    assert keras.config.dtype_policy().name == "float32"
    np.testing.assert_array_equal(np.random.get_state()[1], expected)
    held = {path.relative_to(tmp_path).as_posix() for path in locks._held if tmp_path in path.parents}
    assert held == {".other.lock"}, "another training keeps its lock"
    locks.release(tmp_path / "other")

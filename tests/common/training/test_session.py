import keras
import pytest

from common.files import locks
from common.training import session


@pytest.mark.parametrize("fails", [False, True])
def test_precision_and_locks_are_set_back_however_a_training_ends(fails, tmp_path):
    with pytest.raises(ZeroDivisionError) if fails else session.restored(), session.restored():
        keras.config.set_dtype_policy("mixed_bfloat16")
        locks.acquire(tmp_path / "run")
        assert locks._held
        if fails:
            raise ZeroDivisionError
    assert keras.config.dtype_policy().name == "float32"
    assert not locks._held

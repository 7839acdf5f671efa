"""Training inside a longer program: global settings are restored afterwards."""

import contextlib
from collections.abc import Iterator

import keras

from common.files import locks


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Restore the Keras dtype policy and release the locks of run directories at the end of the block."""
    policy = keras.config.dtype_policy()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        locks.release_all()

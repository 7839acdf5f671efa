"""A training inside a longer program: what it sets is set back."""

import contextlib
from collections.abc import Iterator

import keras

from common.files import locks


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Leave Keras' precision as it was, and give the locks of run directories back, however the block ends."""
    policy = keras.config.dtype_policy()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        locks.release_all()

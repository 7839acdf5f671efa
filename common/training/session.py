"""Training inside a longer program: global settings are restored afterwards."""

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from common.files import locks


@contextlib.contextmanager
def restored(folder: str | Path) -> Iterator[None]:
    """Restore Keras' dtype policy and random states, and release the locks of a run directory, at the end of the block."""
    policy = keras.config.dtype_policy()
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(states[0])
        np.random.set_state(states[1])
        locks.release_within(folder)

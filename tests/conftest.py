"""What all tests share: real recordings where they are at hand, and waveforms made on the spot."""

from pathlib import Path

import numpy as np
import pytest

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings that lies beside the repository on the developers' machines."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real recordings at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture
def rng() -> np.random.Generator:
    """A random generator with a fixed seed."""
    return np.random.default_rng(0)

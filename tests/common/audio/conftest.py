import numpy as np
import pytest


@pytest.fixture
def tone() -> np.ndarray:
    """One second of a 440 Hz tone at half of full scale, at 16 kHz."""
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.float32)

import dataclasses

import numpy as np
import pytest

from separation import serving
from separation.config import VARIANTS
from separation.models import build_model, for_inference

TINY = dataclasses.replace(VARIANTS["tiny"], sample_rate=8000, num_channels=1)
WINDOW, HOP = TINY.window_samples, TINY.window_hop


@pytest.fixture(scope="module")
def model():
    """A network with weights at random: it changes what it hears."""
    rng = np.random.default_rng(0)
    model = build_model(TINY)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


@pytest.mark.parametrize(
    "length", [1, 63, WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + HOP, WINDOW + HOP + 1, 9 * HOP + 17]
)
def test_any_length_comes_out_as_long_and_the_same_inside_tensorflow(model, length, rng):
    mixture = rng.normal(0, 0.1, (length, 1)).astype(np.float32)
    stems = for_inference(model, TINY).separate(mixture).waveforms
    assert stems.shape == (2, length, 1)
    np.testing.assert_allclose(serving.overlap_add(model, TINY, mixture), stems, atol=1e-5)

import numpy as np
import pytest

from counting import inference, serving
from counting.config import HEADS, Config


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("counts", [(1, 3), (0, 2), (2, 5)])
def test_the_exported_model_answers_as_inference_does(rng, head, counts):
    config = Config(head=head, min_speakers=counts[0], max_speakers=counts[1])
    probabilities = rng.dirichlet([0.3] * len(config.labels), 500).astype(np.float32)
    served = {name: value.numpy() for name, value in serving.decide(config, probabilities).items()}
    expected = inference.decide(probabilities, config.counts, config.known_sexes)
    np.testing.assert_array_equal(served.pop("probabilities"), probabilities)
    np.testing.assert_allclose(served.pop("count_probabilities"), expected.pop("count_probabilities"), atol=1e-6)
    assert set(served) == set(expected) == ({"count", "female", "male"} if config.known_sexes else {"count"})
    for name, value in served.items():
        assert value.dtype == np.int32
        np.testing.assert_array_equal(value, expected[name])

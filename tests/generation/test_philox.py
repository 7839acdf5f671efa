"""The same numbers as TensorFlow's, and the published answers of the generator itself."""

import numpy as np
import pytest
import tensorflow as tf

from generation import philox

SEEDS = [(0, 0), (1, 0), (0, 1), (7, 123456), (-1, -2), (2**31 - 1, -(2**31)), (20_000, 1)]
SEEDS = [np.array(seed, np.int32) for seed in SEEDS] + [np.array([2**31, 0]), np.array([-(2**63), 2**63 - 1])]
SHAPES = [(1,), (2,), (3,), (5,), (4, 1), (3, 7), (1, 1, 4), (2, 5, 64), (1, 40, 127), (0, 3), (100_003,)]


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_published_answers(counter, key, expected):
    """From `kat_vectors` of the authors' Random123."""
    found = philox._philox(np.array(counter, np.uint32)[:, None], np.array(key, np.uint32))
    assert tuple(found[:, 0]) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_every_number_is_tensorflows(seed):
    for shape in SHAPES:
        expected = tf.random.stateless_uniform(shape, seed, -1.0, 1.0, alg="philox").numpy()
        found = philox.uniform(shape, seed, -1.0, 1.0)
        assert found.dtype == np.float32 and found.shape == shape
        np.testing.assert_array_equal(found, expected)
        found = philox.normal(shape, seed)
        assert found.dtype == np.float32 and found.shape == shape
        np.testing.assert_allclose(found, tf.random.stateless_normal(shape, seed, alg="philox"), rtol=0, atol=5e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_seeds_are_split_as_tensorflow_splits_them(seed):
    for number in (1, 2, 3, 8):
        found = philox.split(seed, number)
        assert found.dtype == seed.dtype
        np.testing.assert_array_equal(found, tf.random.split(tf.constant(seed), number, alg="philox"))


def test_draws_are_distributed_as_they_say():
    drawn = philox.normal((200_000,), np.array([3, 4]))
    assert abs(drawn.mean()) < 0.01 and drawn.std() == pytest.approx(1, abs=0.01)
    assert (np.abs(drawn) < 1).mean() == pytest.approx(0.6827, abs=0.005)

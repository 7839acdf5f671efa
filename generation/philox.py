"""TensorFlow's stateless random numbers in NumPy: the generator Philox4x32-10.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011. NumPy's Philox
is the different variant 4x64. The conversions from seeds to keys and from bits to numbers follow TensorFlow:
`tensorflow/core/kernels/stateless_random_ops.cc` and `tensorflow/core/lib/random/random_distributions.h`.
"""

import math
from collections.abc import Callable

import numpy as np

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], np.uint32)
_ROUNDS = 10
# The key that TensorFlow scrambles seeds with, so that similar seeds give unrelated numbers.
_SEED_KEY = np.array([0x3EC8F720, 0x02461E29], np.uint32)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_LEAST_UNIFORM = np.float32(1e-7)


def uniform(shape: tuple[int, ...], seed: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Draw from the uniform distribution: `tf.random.stateless_uniform(shape, seed, low, high, alg="philox")`.

    Args:
        shape: Shape of the result.
        seed: Two integers, int32 or int64.
        low: Lower bound, included.
        high: Upper bound, excluded.

    Returns:
        float32, equal to TensorFlow's.
    """
    low, high = np.float32(low), np.float32(high)
    return (_fractions(_bits(math.prod(shape), seed)) * (high - low) + low).reshape(shape)


def normal(shape: tuple[int, ...], seed: np.ndarray) -> np.ndarray:
    """Draw from the normal distribution: `tf.random.stateless_normal(shape, seed, alg="philox")`.

    Uses the Box-Muller transform (G. E. P. Box, M. E. Muller, 1958).

    Args:
        shape: Shape of the result.
        seed: Two integers, int32 or int64.

    Returns:
        float32, equal to TensorFlow's up to the last bits of a logarithm, sine or cosine.
    """
    number = math.prod(shape)
    radius, angle = _fractions(_bits(number + number % 2, seed)).reshape(-1, 2).T
    radius = np.sqrt(np.float32(-2) * _rounded(np.log, np.maximum(radius, _LEAST_UNIFORM)))
    # TensorFlow multiplies in double precision.
    angle = (2 * math.pi * angle.astype(np.float64)).astype(np.float32)
    pairs = np.stack([radius * _rounded(np.sin, angle), radius * _rounded(np.cos, angle)], axis=1)
    return pairs.reshape(-1)[:number].reshape(shape)


def _rounded(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """Compute a function in double precision and round; the C library, which TensorFlow calls, is nearly exact too."""
    return function(values.astype(np.float64)).astype(np.float32)


def split(seed: np.ndarray, number: int = 2) -> np.ndarray:
    """Split a seed into several, shape `(number, 2)`, same type: `tf.random.split(seed, number, alg="philox")`."""
    return _bits(2 * number * seed.itemsize // 4, seed).view(seed.dtype).reshape(number, 2)


def _bits(number: int, seed: np.ndarray) -> np.ndarray:
    """Return the first numbers of the stream of a seed, uint32."""
    words = seed.astype("<i8").view("<u4")
    mixed = _philox(words[:, None], _SEED_KEY)[:, 0]
    counters = np.zeros((4, -(-number // 4)), np.uint32)
    # The counter never overflows: a stream of 4 * 2**32 numbers does not fit into memory.
    counters[0] = np.arange(counters.shape[1], dtype=np.uint32)
    counters[2:] = mixed[2:, None]
    return _philox(counters, mixed[:2]).T.reshape(-1)[:number]


def _philox(counters: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Apply the Philox rounds to counters `(4, blocks)` with a key `(2,)`, all uint32."""
    c0, c1, c2, c3 = counters.astype(np.uint64)
    for step in range(_ROUNDS):
        k0, k1 = (key + np.uint32(step) * _WEYL).astype(np.uint64)
        first, second = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (second >> _HALF) ^ c1 ^ k0, second & _LOW, (first >> _HALF) ^ c3 ^ k1, first & _LOW
    return np.stack([c0, c1, c2, c3]).astype(np.uint32)


def _fractions(bits: np.ndarray) -> np.ndarray:
    """Convert bits to float32 in [0, 1): 23 bits are the mantissa of a number in [1, 2), from which 1 is subtracted."""
    return (bits & np.uint32(0x7FFFFF) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)

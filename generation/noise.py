"""The noise that the generator takes as input: a vector per time step.

The first `style_dim` values of the vector are constant over a piece: its style. The others are drawn independently in
each step, so a longer piece has more steps of the same style. Networks with a fixed output size take one step.

This module uses NumPy, so that it works without TensorFlow. A training step draws its noise in the graph with
`generation.models.draw_noise`, which gives the same values up to the last bits.
"""

import dataclasses

import numpy as np

from generation import philox
from generation.config import Config

# Frames that the network `native` generates per step of noise.
FRAMES_PER_STEP = 32
# Steps whose frames are cropped at either end, because zero padding of the convolutions affects them.
MARGIN_STEPS = 1
_LEAST_NORM = 1e-12


@dataclasses.dataclass(frozen=True)
class Noise:
    """Distribution of the noise of a generator.

    Attributes:
        dim: Number of values per step.
        style_dim: Number of values that are constant over a piece.
        distribution: `normal`, or `uniform` in [-1, 1).
    """

    dim: int
    style_dim: int
    distribution: str

    def draw(self, num_samples: int, seed: tuple[int, int], steps: int) -> np.ndarray:
        """Draw the noise of one or more pieces.

        Args:
            num_samples: Number of pieces.
            seed: The same seed gives the same noise.
            steps: Number of time steps.

        Returns:
            Shape `(num_samples, steps, dim)` float32.
        """
        # The integer type that TensorFlow would choose.
        as_array = np.array(seed, np.int32 if max(seed) < 2**31 else np.int64)
        style_seed, local_seed = philox.split(as_array)
        style = self._random((num_samples, 1, self.style_dim), style_seed)
        local = self._random((num_samples, steps, self.dim - self.style_dim), local_seed)
        return np.concatenate([np.repeat(style, steps, axis=1), local], axis=2)

    def _random(self, shape: tuple[int, ...], seed: np.ndarray) -> np.ndarray:
        return philox.uniform(shape, seed, -1.0, 1.0) if self.distribution == "uniform" else philox.normal(shape, seed)

    def interpolate(self, first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
        """Interpolate between two noises: spherical for normal noise (T. White, 2016, arXiv 1609.04468), else linear.

        Args:
            first: Shape `(…, dim)` float32.
            second: Same shape.
            share: Position between them: 0 is the first, 1 the second.
        """
        share = np.float32(share)
        if self.distribution == "uniform":
            return first + share * (second - first)
        cosine = np.sum(_normalized(first) * _normalized(second), axis=-1, keepdims=True)
        angle = np.arccos(np.clip(cosine, -1 + 1e-6, 1 - 1e-6))
        return (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)


def _normalized(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt(np.maximum(np.sum(np.square(vectors), axis=-1, keepdims=True), _LEAST_NORM))


def of(config: Config) -> Noise:
    """Return the noise distribution of a configuration."""
    return Noise(config.noise_dim, config.style_dim, config.noise)


def num_steps(config: Config) -> int:
    """Return the number of noise steps of an excerpt."""
    return steps_for(config.frames) if config.model == "native" else 1


def steps_for(frames: int) -> int:
    """Return the number of noise steps that the network `native` needs for a number of frames."""
    return -(-frames // FRAMES_PER_STEP) + 2 * MARGIN_STEPS


def draw(config: Config, num_samples: int, seed: tuple[int, int], steps: int | None = None) -> np.ndarray:
    """Draw the noise of excerpts, or with `steps` of pieces of that many steps; see `Noise.draw`."""
    return of(config).draw(num_samples, seed, steps or num_steps(config))

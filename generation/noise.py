"""Where pieces come from: noise, a row of numbers for each step of time.

The first `style_dim` numbers of a row are the same through all of a piece: its style. The others are drawn anew in each
step, so that a longer piece takes more steps of the same style. Networks of one size take one step.

This is numpy, for pieces are generated without TensorFlow. A training step draws inside its graph, by
`generation.models.draw_noise`: the same numbers but for the last bits.
"""

import dataclasses

import numpy as np

from generation import philox
from generation.config import Config

# From one step of noise to the next, the network `native` makes so many frames.
FRAMES_PER_STEP = 32
# Steps whose frames are left out at either end, where the convolutions see nothing beyond.
MARGIN_STEPS = 1
_LEAST_NORM = 1e-12


@dataclasses.dataclass(frozen=True)
class Noise:
    """How the noise of a generator is distributed.

    Attributes:
        dim: Numbers in each step.
        style_dim: How many of them stay the same through all of a piece.
        distribution: `normal`, or `uniform` in [-1, 1).
    """

    dim: int
    style_dim: int
    distribution: str

    def draw(self, num_samples: int, seed: tuple[int, int], steps: int) -> np.ndarray:
        """Draw noise for some pieces.

        Args:
            num_samples: How many pieces.
            seed: The same seed gives the same noise.
            steps: Of time.

        Returns:
            Shape `(num_samples, steps, dim)` float32.
        """
        # As TensorFlow reads whole numbers.
        as_array = np.array(seed, np.int32 if max(seed) < 2**31 else np.int64)
        style_seed, local_seed = philox.split(as_array)
        style = self._random((num_samples, 1, self.style_dim), style_seed)
        local = self._random((num_samples, steps, self.dim - self.style_dim), local_seed)
        return np.concatenate([np.repeat(style, steps, axis=1), local], axis=2)

    def _random(self, shape: tuple[int, ...], seed: np.ndarray) -> np.ndarray:
        return philox.uniform(shape, seed, -1.0, 1.0) if self.distribution == "uniform" else philox.normal(shape, seed)

    def interpolate(self, first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
        """Go from one noise to another, along the sphere that normal noise lies on (T. White, 2016, arXiv 1609.04468).

        Uniform noise is mixed in a straight line.

        Args:
            first: Shape `(…, dim)` float32.
            second: The same shape.
            share: From 0, the first, to 1, the second.
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
    """Return the noise that a generator's configuration names."""
    return Noise(config.noise_dim, config.style_dim, config.noise)


def num_steps(config: Config) -> int:
    """Return how many steps of noise make an excerpt."""
    return steps_for(config.frames) if config.model == "native" else 1


def steps_for(frames: int) -> int:
    """Return how many steps of noise the network `native` makes so many frames from."""
    return -(-frames // FRAMES_PER_STEP) + 2 * MARGIN_STEPS


def draw(config: Config, num_samples: int, seed: tuple[int, int], steps: int | None = None) -> np.ndarray:
    """Draw noise for some excerpts, or pieces of so many steps; see `Noise.draw`."""
    return of(config).draw(num_samples, seed, steps or num_steps(config))

"""Generate pieces of any length from noise. This module does not import TensorFlow.

Any function from noise to spectrograms can be the generator. `native` is convolutional along time: a longer piece is
one pass over more steps of noise, without joins. The other models generate one excerpt from one step of noise. Their
longer pieces are cross-faded excerpts with an overlap of half their length; every second excerpt uses the interpolation
of its neighbours' noise.
"""

import dataclasses
import os
from collections.abc import Callable

import numpy as np

from common import arguments, audio
from generation import noise

SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 600.0
HIGHEST_TRUNCATION = 2.0
_HIGHEST_SEED = 2**63 - 1
ArrayFunction = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Piece:
    """A piece of music.

    Attributes:
        waveform: Shape `(samples,)`, float32, with a peak of 0.9.
        sample_rate: In hertz.
        decibels: The generated spectrogram, shape `(frames, bands)`.
        hop_samples: Hop between frames in samples.
    """

    waveform: np.ndarray
    sample_rate: int
    decibels: np.ndarray
    hop_samples: int

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.waveform) / self.sample_rate

    def save(self, path: str | os.PathLike) -> None:
        """Write an audio file in the format of the suffix. An existing file is replaced.

        Raises:
            UserError: The suffix is not a known format, or the file cannot be written.
        """
        audio.write(path, self.waveform, self.sample_rate)

    def __repr__(self) -> str:
        """Return duration and sample rate."""
        return f"Piece({self.seconds:.2f} s, {self.sample_rate} Hz)"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MusicGenerator:
    """Generates music; the same seed gives the same piece.

    Attributes:
        make_spectrogram: Function from noise `(batch, steps, dim)` to scaled spectrograms `(batch, frames, bands)` in
            [-1, 1].
        to_waveform: Function from scaled spectrograms of any length to waveforms `(batch, samples)`.
        sample_rate: In hertz.
        hop_samples: Hop between frames in samples.
        clip_seconds: Default length of a piece.
        clip_frames: Frames of a training excerpt.
        any_length: Whether more steps of noise give a longer spectrogram; otherwise one step gives one excerpt.
        noise: Distribution of the noise.
        low_db: Decibels of the scaled value -1 in each band, shape `(bands,)`.
        high_db: Decibels of the scaled value 1, same shape.
    """

    make_spectrogram: ArrayFunction
    to_waveform: ArrayFunction
    _: dataclasses.KW_ONLY
    sample_rate: int
    hop_samples: int
    clip_seconds: float
    clip_frames: int
    any_length: bool
    noise: noise.Noise
    low_db: np.ndarray
    high_db: np.ndarray

    def __repr__(self) -> str:
        """Return default length and sample rate."""
        return f"MusicGenerator({self.clip_seconds:g} s by default, {self.sample_rate} Hz)"

    def generate(self, seed: int = 0, seconds: float | None = None, *, truncation: float = 1.0) -> Piece:
        """Generate the piece of a seed.

        Args:
            seed: An integer, 0 or more.
            seconds: Length of the piece, accurate to half a frame. Defaults to the length of an excerpt.
            truncation: Factor on the noise; below 1 pieces are less varied and closer to the average.

        Raises:
            UserError: An argument is out of range.

        Example:
            >>> import keras
            >>> from generation.config import VARIANTS
            >>> from generation.models import build_model, for_inference
            >>> for_inference(build_model(VARIANTS["tiny"])).generate(seed=7, seconds=2.5)
            Piece(2.50 s, 22050 Hz)
        """
        _check(seconds, truncation, seed=seed)
        frames = self._num_frames(seconds)
        return self._piece(self._draw(seed, frames), frames, seconds, truncation)

    def interpolate(
        self, seed: int, to_seed: int, share: float, seconds: float | None = None, *, truncation: float = 1.0
    ) -> Piece:
        """Generate a piece between those of two seeds.

        Args:
            seed: Seed of the first piece.
            to_seed: Seed of the second piece.
            share: Position between them: 0 is the first piece, 1 the second.
            seconds: As for `generate`.
            truncation: As for `generate`.

        Raises:
            UserError: An argument is out of range.
        """
        _check(seconds, truncation, seed=seed, to_seed=to_seed)
        arguments.number("share", share, 0, 1)
        frames = self._num_frames(seconds)
        steps = self.noise.interpolate(self._draw(seed, frames), self._draw(to_seed, frames), share)
        return self._piece(steps, frames, seconds, truncation)

    def _num_frames(self, seconds: float | None) -> int:
        return round((seconds or self.clip_seconds) * self.sample_rate / self.hop_samples) + 1

    def _draw(self, seed: int, frames: int) -> np.ndarray:
        """Draw the noise of a piece, `(1, steps, dim)`; a step is a time step, or one excerpt without `any_length`."""
        if self.any_length:
            return self.noise.draw(1, (seed, 0), noise.steps_for(frames))
        windows = 1 + max(0, -(-(frames - self.clip_frames) // self._hop))
        anchors = [self.noise.draw(1, (seed, number), 1)[:, 0] for number in range(windows // 2 + 2)]
        steps = [
            self.noise.interpolate(anchors[number // 2], anchors[number // 2 + 1], 0.5)
            if number % 2
            else anchors[number // 2]
            for number in range(windows)
        ]
        return np.stack(steps, axis=1)

    @property
    def _hop(self) -> int:
        """Hop between cross-faded excerpts in frames."""
        return self.clip_frames // 2

    def _piece(self, steps: np.ndarray, frames: int, seconds: float | None, truncation: float) -> Piece:
        steps = np.float32(truncation) * steps
        if self.any_length:
            scaled = self.make_spectrogram(steps)[0]
        else:
            scaled = cross_fade(self.make_spectrogram(steps.reshape(-1, 1, self.noise.dim)), self._hop)
        scaled = scaled[:frames]
        waveform = audio.at_peak(self.to_waveform(scaled[None])[0])
        if seconds:
            waveform = waveform[: round(seconds * self.sample_rate)]
        decibels = self.low_db + (scaled + 1) / 2 * (self.high_db - self.low_db)
        return Piece(waveform, self.sample_rate, decibels, self.hop_samples)


def cross_fade(spectrograms: np.ndarray, hop: int) -> np.ndarray:
    """Cross-fade spectrograms `(windows, frames, bands)` with a hop of `hop` frames.

    Returns:
        Shape `(hop * (windows - 1) + frames, bands)`, float32.
    """
    windows, frames, bands = spectrograms.shape
    # The sum is divided by the weights, so the start of the first window and the end of the last are not faded.
    positions = np.arange(frames, dtype=np.float32)
    triangle = np.minimum(positions + 1, frames - positions)[:, None]
    faded = np.zeros((hop * (windows - 1) + frames, bands), np.float32)
    weights = np.zeros((len(faded), 1), np.float32)
    for number, spectrogram in enumerate(spectrograms):
        window = slice(number * hop, number * hop + frames)
        faded[window] += spectrogram * triangle
        weights[window] += triangle
    return faded / weights


def _check(seconds: float | None, truncation: float, **seeds: int) -> None:
    """Check that all arguments are in their ranges."""
    for name, seed in seeds.items():
        arguments.whole_number(name, seed, 0, _HIGHEST_SEED)
    if seconds is not None:
        arguments.number("seconds", seconds, SHORTEST_SECONDS, LONGEST_SECONDS)
    arguments.number("truncation", truncation, 0, HIGHEST_TRUNCATION)

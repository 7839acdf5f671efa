"""Pieces of any length from noise, by any function that turns noise into spectrograms. No TensorFlow.

A network of any length, `native`, is convolutional along time: a longer piece is more steps of noise in one pass, so nothing
has to be joined. The others make one excerpt from one step of noise: their longer pieces are excerpts that overlap by half
and are cross-faded, each from noise between that of its neighbours.
"""

import dataclasses
import math
import os
from collections.abc import Callable

import numpy as np

from common import audio
from common.errors import UserError
from generation import noise

SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 600.0
HIGHEST_TRUNCATION = 2.0
_HIGHEST_SEED = 2**63 - 1
ArrayFunction = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Piece:
    """A piece of music.

    Attributes:
        waveform: Shape `(samples,)`, float32, its loudest sample 0.9.
        sample_rate: In hertz.
        decibels: The spectrogram that the waveform was made from, shape `(frames, bands)`.
        hop_samples: From one frame to the next.
    """

    waveform: np.ndarray
    sample_rate: int
    decibels: np.ndarray
    hop_samples: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.waveform) / self.sample_rate

    def save(self, path: str | os.PathLike) -> None:
        """Write an audio file; the suffix chooses the format.

        Raises:
            UserError: The suffix names no format, or the file cannot be written.
        """
        audio.write(path, self.waveform, self.sample_rate)

    def __repr__(self) -> str:
        """Say how long it is."""
        return f"Piece({self.seconds:.2f} s, {self.sample_rate} Hz)"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class MusicGenerator:
    """Makes music: the same seed gives the same piece.

    Attributes:
        make_spectrogram: From noise `(batch, steps, dim)` to scaled spectrograms `(batch, frames, bands)` in [-1, 1].
        to_waveform: From scaled spectrograms of any length to waveforms `(batch, samples)`.
        sample_rate: In hertz.
        hop_samples: From one frame to the next.
        clip_seconds: Length of a piece unless told.
        clip_frames: Frames of an excerpt, as training saw them.
        any_length: Whether more steps of noise make a longer spectrogram; otherwise one step makes one excerpt.
        noise: How noise is drawn.
        low_db: What -1 stands for in each band, in decibels, shape `(bands,)`.
        high_db: What 1 stands for.
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
        """Say what it makes."""
        return f"MusicGenerator({self.clip_seconds:g} s unless told, {self.sample_rate} Hz)"

    def generate(self, seed: int = 0, seconds: float | None = None, *, truncation: float = 1.0) -> Piece:
        """Make the piece of a seed.

        Args:
            seed: A whole number, 0 or more.
            seconds: How long it is to last, to half a frame; as long as an excerpt unless told.
            truncation: Below 1 pieces are nearer to the average one, and less varied.

        Raises:
            UserError: An argument is out of its range.

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
        """Make a piece on the way from that of one seed to that of another.

        Args:
            seed: Of the piece where the way begins.
            to_seed: Of the piece where it ends.
            share: How far it has gone, from 0 to 1.
            seconds: As for `generate`.
            truncation: As for `generate`.

        Raises:
            UserError: An argument is out of its range.
        """
        _check(seconds, truncation, seed=seed, to_seed=to_seed)
        _check_range("share", share, 0, 1)
        frames = self._num_frames(seconds)
        steps = self.noise.interpolate(self._draw(seed, frames), self._draw(to_seed, frames), share)
        return self._piece(steps, frames, seconds, truncation)

    def _num_frames(self, seconds: float | None) -> int:
        return round((seconds or self.clip_seconds) * self.sample_rate / self.hop_samples) + 1

    def _draw(self, seed: int, frames: int) -> np.ndarray:
        """Draw the noise of a piece, `(1, steps, dim)`: steps of time, or else a step for each excerpt."""
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
        """From one excerpt to the next, in frames."""
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


def cross_fade(pictures: np.ndarray, hop: int) -> np.ndarray:
    """Lay pictures `(windows, frames, bands)` over one another, each `hop` frames after the one before.

    Returns:
        Shape `(hop * (windows - 1) + frames, bands)`, float32.
    """
    windows, frames, bands = pictures.shape
    # Of two neighbours one fades out as the other fades in; the first and the last have nobody to fade to.
    places = np.arange(frames, dtype=np.float32)
    triangle = np.minimum(places + 1, frames - places)[:, None]
    faded = np.zeros((hop * (windows - 1) + frames, bands), np.float32)
    weights = np.zeros((len(faded), 1), np.float32)
    for number, picture in enumerate(pictures):
        here = slice(number * hop, number * hop + frames)
        faded[here] += picture * triangle
        weights[here] += triangle
    return faded / weights


def _check(seconds: float | None, truncation: float, **seeds: int) -> None:
    """Refuse arguments that are out of their range."""
    for name, seed in seeds.items():
        if not isinstance(seed, int | np.integer) or not 0 <= seed <= _HIGHEST_SEED:
            raise UserError(f"{name}: expected a whole number from 0 to {_HIGHEST_SEED}, got {seed!r}")
    if seconds is not None:
        _check_range("seconds", seconds, SHORTEST_SECONDS, LONGEST_SECONDS)
    _check_range("truncation", truncation, 0, HIGHEST_TRUNCATION)


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not (math.isfinite(value) and lowest <= value <= highest):
        raise UserError(f"{name}: expected a number from {lowest:g} to {highest:g}, got {value}")

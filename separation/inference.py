"""Whole songs: windows that overlap, separated in batches and joined without a click, in memory that does not grow.

By any function that takes windows apart; no TensorFlow. The arithmetic depends on the song alone: nothing is kept from one
song to the next, and the window that covers a sample depends on where the sample is. `separation.serving` does the same
inside TensorFlow, for the exported model.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from common import audio
from common.audio import memory
from common.audio import waveform as waveforms
from common.errors import UserError

# Windows that are separated at once.
BATCH_SIZE = 4
WindowFunction = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Stems(Mapping):
    """A song taken apart: a mapping from names to waveforms `(samples, channels)`, float32.

    Attributes:
        names: Of the stems.
        waveforms: All of them, shape `(stems, samples, channels)`.
        sample_rate: In hertz; rate, length and channels are those of the song.
    """

    names: tuple[str, ...]
    waveforms: np.ndarray
    sample_rate: int

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the waveform of a stem."""
        if name not in self.names:
            raise KeyError(f"{name!r}; the stems are {', '.join(self.names)}")
        return self.waveforms[self.names.index(name)]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.names)

    def __len__(self) -> int:
        """Return how many stems there are."""
        return len(self.names)

    def __repr__(self) -> str:
        """Say what they are."""
        seconds = self.waveforms.shape[1] / self.sample_rate
        sides = f"{self.waveforms.shape[2]} channel{'s' if self.waveforms.shape[2] > 1 else ''}"
        return f"Stems({', '.join(self.names)}; {seconds:.2f} s, {self.sample_rate} Hz, {sides})"

    def save(self, folder: str | os.PathLike, format: str = "wav") -> list[Path]:
        """Write a file for each stem, named after it.

        Args:
            folder: Where to; it is made if it does not exist.
            format: Suffix of the files: wav, flac, ogg or mp3.

        Returns:
            The files written.

        Raises:
            UserError: The format is unknown, or a file cannot be written.
        """
        paths = [Path(folder) / f"{name}.{format}" for name in self.names]
        for path, waveform in zip(paths, self.waveforms, strict=True):
            audio.write(path, waveform, self.sample_rate)
        return paths


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class StemSeparator:
    """Takes songs apart.

    Attributes:
        run: From windows `(windows, window_samples, channels)` of as many channels as the model has to their stems
            `(windows, stems, window_samples, channels)`.
        stems: Their names.
        sample_rate: Of the model, in hertz.
        channels: Of the model, 1 or 2.
        window_samples: Length of a window.
        hop_samples: From one window to the next.
    """

    run: WindowFunction
    _: dataclasses.KW_ONLY
    stems: tuple[str, ...]
    sample_rate: int
    channels: int
    window_samples: int
    hop_samples: int

    def __repr__(self) -> str:
        """Say what it takes apart."""
        sides = "stereo" if self.channels == 2 else "mono"
        return f"StemSeparator({', '.join(self.stems)}; {self.sample_rate} Hz, {sides})"

    def separate(self, source: audio.AudioSource | np.ndarray, sample_rate: int | None = None) -> Stems:
        """Take a song apart in memory.

        Args:
            source: A path, a binary file object, or a waveform `(samples,)` or `(samples, channels)`, float or int16.
            sample_rate: Rate of a waveform in Hz, if not the model's.

        Returns:
            The stems, at the song's own rate, of its length and channels.

        Raises:
            UserError: The song cannot be read, or has more than two channels for a stereo model.

        Example:
            >>> halves = StemSeparator(
            ...     lambda windows: np.stack([windows, windows], axis=1) / 2,
            ...     stems=("left", "right"), sample_rate=8000, channels=1, window_samples=800, hop_samples=600,
            ... )
            >>> stems = halves.separate(np.ones(44100, np.float32), 44100)
            >>> stems
            Stems(left, right; 1.00 s, 44100 Hz, 1 channel)
            >>> stems["left"].shape
            (44100, 1)
        """
        waveform, rate = _read(source, sample_rate, self.sample_rate)
        self.check_channels("the song", waveform.shape[1])
        mixture = audio.resample(waveform, rate, self.sample_rate)
        parts = list(resampled(self.stream([mixture]), self.sample_rate, rate))
        return Stems(self.stems, np.concatenate(parts, axis=1)[:, : len(waveform)], rate)

    def check_channels(self, name: str, num_channels: int) -> None:
        """Refuse songs that have more channels than a stereo model takes.

        Raises:
            UserError: Names the song.
        """
        if num_channels > self.channels > 1:
            raise UserError(f"{name} has {num_channels} channels, the model takes one or two: mix it down first")

    def stream(self, blocks: Iterable[np.ndarray], *, batch_size: int = BATCH_SIZE) -> Iterator[np.ndarray]:
        """Separate a song of any length as it comes in.

        A mono model separates the channels of a song one by one; for a stereo model a mono song is heard on both sides, and
        the stems are the mean of both. However the song is cut into blocks, the stems are the same.

        Args:
            blocks: The mixture at the model's rate, `(samples, channels)` of any lengths that follow each other; one or two
                channels for a stereo model.
            batch_size: How many windows are separated at once. A sample's stems come at latest when `window_samples` and
                `batch_size - 1` hops have come in behind it: with 1 the look-ahead is one window.

        Yields:
            The stems `(stems, samples, channels)`, together as long as the mixture.
        """
        size, hop = self.window_samples, self.hop_samples
        weights = triangle(size, hop)[None, :, None]
        # What is not yet final: sums of weighted stems and of weights, beginning with the next window.
        sums, total = 0.0, np.zeros((1, size, 1), np.float32)
        position = length = 0
        for windows, length in self._windows(blocks, batch_size):
            for stems in self._separated(windows):
                sums = sums + weights * stems
                total = total + weights
                done = min(hop, length - position)
                yield sums[:, :done] / total[:, :done]
                position += done
                sums = np.concatenate([sums[:, hop:], np.zeros_like(sums[:, :hop])], axis=1)
                total = np.concatenate([total[:, hop:], np.zeros_like(total[:, :hop])], axis=1)
        if position < length:
            yield sums[:, : length - position] / total[:, : length - position]

    def _separated(self, windows: np.ndarray) -> np.ndarray:
        """Separate windows `(windows, window_samples, channels)` of a song's channels, whatever those of the model."""
        number, size, heard = windows.shape
        if self.channels == 1:
            stems = self.run(windows.transpose(0, 2, 1).reshape(number * heard, size, 1))
            return stems.reshape(number, heard, -1, size).transpose(0, 2, 3, 1)
        if heard == 1:
            return self.run(np.repeat(windows, self.channels, axis=2)).mean(axis=3, keepdims=True)
        return self.run(windows)

    def _windows(self, blocks: Iterable[np.ndarray], batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        """Cut blocks into windows, filled up with silence at the end, in batches; beside each, how long the song is so far."""
        size, hop = self.window_samples, self.hop_samples
        pending: np.ndarray | None = None
        batch: list[np.ndarray] = []
        length = 0
        for block in blocks:
            length += len(block)
            pending = block if pending is None else np.concatenate([pending, block])
            while len(pending) >= size:
                batch.append(pending[:size])
                pending = pending[hop:]
                if len(batch) == batch_size:
                    yield np.stack(batch), length
                    batch = []
        # After the last full window some samples may not be covered yet.
        covered = size - hop if length >= size else 0
        while length and len(pending) > covered:
            window = np.zeros((size, pending.shape[1]), np.float32)
            window[: len(pending)] = pending[:size]
            batch.append(window)
            pending, covered = pending[hop:], size - hop
        for first in range(0, len(batch), batch_size):
            yield np.stack(batch[first : first + batch_size]), length


def _read(source: audio.AudioSource | np.ndarray, sample_rate: int | None, model_rate: int) -> tuple[np.ndarray, int]:
    """Return a song `(samples, channels)` and its rate: a file's own, or of a waveform the one given or the model's."""
    if isinstance(source, np.ndarray):
        recording = memory.Waveform(source, model_rate if sample_rate is None else sample_rate)
        return np.concatenate(list(recording.blocks())), recording.sample_rate
    if sample_rate is not None:
        raise UserError("sample_rate is that of a waveform in memory, and a file states its own; leave it out")
    if not (isinstance(source, str | os.PathLike) or hasattr(source, "read")):
        raise UserError(f"expected a path, a binary file or a NumPy waveform, got {type(source).__name__}")
    return audio.read(source, mono=False)


def triangle(window_samples: int, hop_samples: int) -> np.ndarray:
    """Return a window's weights: they rise and fall where windows overlap, shape `(window_samples,)`, all above 0."""
    ramp = window_samples - hop_samples
    weights = np.ones(window_samples, np.float32)
    if ramp:
        slope = (np.arange(ramp, dtype=np.float32) + 1) / (ramp + 1)
        weights[:ramp], weights[-ramp:] = slope, slope[::-1]
    return weights


def make_consistent(stems: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """Spread what the stems `(stems, samples, channels)` lack of the mixture evenly over them, so that they sum to it."""
    return stems + (mixture - stems.sum(axis=0)) / len(stems)


def resampled(blocks: Iterable[np.ndarray], from_rate: int, to_rate: int) -> Iterator[np.ndarray]:
    """Resample stems `(stems, samples, channels)` as they come; they join without a click."""
    if from_rate == to_rate:
        yield from blocks
        return
    resampler = None
    for stems in blocks:
        num_stems, _, channels = stems.shape
        resampler = resampler or waveforms.resampler(from_rate, to_rate, num_stems * channels)
        flat = stems.transpose(1, 0, 2).reshape(-1, num_stems * channels)
        flat = resampler.resample_chunk(np.ascontiguousarray(flat, np.float32))
        yield flat.reshape(-1, num_stems, channels).transpose(1, 0, 2)
    rest = resampler.resample_chunk(flat[:0], last=True)
    yield rest.reshape(-1, num_stems, channels).transpose(1, 0, 2)

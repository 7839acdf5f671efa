"""Separate whole songs in overlapping windows, by overlap-add and in constant memory.

This module needs no TensorFlow: any function can separate the windows. The result depends on the song only: no state is
kept between songs, and windows start at fixed positions. `separation.serving` does the same in TensorFlow for the
exported model.
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

# Windows in a batch.
BATCH_SIZE = 4
WindowFunction = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Stems(Mapping):
    """The stems of a song: a mapping from names to float32 waveforms `(samples, channels)`.

    Sample rate, length and channels are those of the song.

    Attributes:
        names: Names of the stems.
        waveforms: All stems, shape `(stems, samples, channels)`.
        sample_rate: In hertz.
    """

    names: tuple[str, ...]
    waveforms: np.ndarray
    sample_rate: int

    # A mapping compares its values, which arrays do not allow.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the waveform of a stem."""
        if name not in self.names:
            raise KeyError(f"{name!r}; the stems are {', '.join(self.names)}")
        return self.waveforms[self.names.index(name)]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self.names)

    def __len__(self) -> int:
        """Return the number of stems."""
        return len(self.names)

    def __repr__(self) -> str:
        """Return names, length, sample rate and channels."""
        seconds = self.waveforms.shape[1] / self.sample_rate
        channels = f"{self.waveforms.shape[2]} channel{'s' if self.waveforms.shape[2] > 1 else ''}"
        return f"Stems({', '.join(self.names)}; {seconds:.2f} s, {self.sample_rate} Hz, {channels})"

    def save(self, folder: str | os.PathLike, format: str = "wav") -> list[Path]:
        """Write a file for each stem, named after it. Existing files are replaced.

        Args:
            folder: Output folder; created if it does not exist.
            format: File format: wav, flac, ogg or mp3.

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
    """Separates songs into stems.

    Attributes:
        run: Function from windows `(windows, window_samples, channels)`, with the channels of the model, to stems
            `(windows, stems, window_samples, channels)`.
        stems: Names of the stems.
        sample_rate: Sample rate of the model, in hertz.
        channels: Channels of the model, 1 or 2.
        window_samples: Length of a window.
        hop_samples: Hop between windows.
    """

    run: WindowFunction
    _: dataclasses.KW_ONLY
    stems: tuple[str, ...]
    sample_rate: int
    channels: int
    window_samples: int
    hop_samples: int

    def __repr__(self) -> str:
        """Return stems, sample rate and channels."""
        layout = "stereo" if self.channels == 2 else "mono"
        return f"StemSeparator({', '.join(self.stems)}; {self.sample_rate} Hz, {layout})"

    def separate(self, source: audio.AudioSource | np.ndarray, sample_rate: int | None = None) -> Stems:
        """Separate a song in memory.

        Args:
            source: A path, a binary file object, or a waveform `(samples,)` or `(samples, channels)`, float or int16.
            sample_rate: Sample rate of a waveform in Hz. Defaults to that of the model.

        Returns:
            The stems, with the sample rate, length and channels of the song.

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
        """Check that a stereo model gets at most two channels.

        Raises:
            UserError: The song has more than two channels.
        """
        if num_channels > self.channels > 1:
            raise UserError(f"{name} has {num_channels} channels, expected one or two; mix it down first")

    def stream(self, blocks: Iterable[np.ndarray], *, batch_size: int = BATCH_SIZE) -> Iterator[np.ndarray]:
        """Separate a stream of any length.

        A mono model separates each channel of a song on its own. A stereo model gets a mono song on both channels, and
        the two output channels are averaged. The stems do not depend on the sizes of the blocks.

        Args:
            blocks: Consecutive blocks of the mixture at the model's sample rate, `(samples, channels)`, of any length;
                one or two channels for a stereo model.
            batch_size: Windows in a batch. The look-ahead is at most `window_samples` plus `batch_size - 1` hops; with
                1 it is one window.

        Yields:
            Blocks of the stems `(stems, samples, channels)`, with the same total length as the mixture.
        """
        size, hop = self.window_samples, self.hop_samples
        weights = triangle(size, hop)[None, :, None]
        # Sums of weighted stems and of weights from the next window on; later windows still add to them.
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
        """Separate windows `(windows, window_samples, channels)` with the channels of the song, not of the model."""
        number, size, song_channels = windows.shape
        if self.channels == 1:
            stems = self._outputs(windows.transpose(0, 2, 1).reshape(number * song_channels, size, 1))
            return stems.reshape(number, song_channels, -1, size).transpose(0, 2, 3, 1)
        if song_channels == 1:
            return self._outputs(np.repeat(windows, self.channels, axis=2)).mean(axis=3, keepdims=True)
        return self._outputs(windows)

    def _outputs(self, windows: np.ndarray) -> np.ndarray:
        """Run the model on windows with its own channels."""
        stems = np.asarray(self.run(windows), np.float32)
        expected = (len(windows), len(self.stems), *windows.shape[1:])
        if stems.shape != expected:
            raise ValueError(f"run: expected stems {expected}, got {stems.shape}")
        return stems

    def _windows(self, blocks: Iterable[np.ndarray], batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
        """Yield batches of windows, and the number of samples read so far; the last window is padded with zeros."""
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
        # Samples after the last full window are not covered yet.
        covered = size - hop if length >= size else 0
        while length and len(pending) > covered:
            window = np.zeros((size, pending.shape[1]), np.float32)
            window[: len(pending)] = pending[:size]
            batch.append(window)
            pending, covered = pending[hop:], size - hop
        for first in range(0, len(batch), batch_size):
            yield np.stack(batch[first : first + batch_size]), length


def _read(source: audio.AudioSource | np.ndarray, sample_rate: int | None, model_rate: int) -> tuple[np.ndarray, int]:
    """Return a song `(samples, channels)` and its sample rate; a waveform without a rate has that of the model."""
    if isinstance(source, np.ndarray):
        recording = memory.Waveform(source, model_rate if sample_rate is None else sample_rate)
        return np.concatenate(list(recording.blocks())), recording.sample_rate
    if sample_rate is not None:
        raise UserError("sample_rate is only for waveforms in memory, a file has its own sample rate; leave it out")
    if not (isinstance(source, str | os.PathLike) or hasattr(source, "read")):
        raise UserError(f"expected a path, a binary file or a NumPy waveform, got {type(source).__name__}")
    return audio.read(source, mono=False)


def triangle(window_samples: int, hop_samples: int) -> np.ndarray:
    """Return the overlap-add weights of a window, `(window_samples,)`: linear ramps in the overlaps, all above 0."""
    ramp = window_samples - hop_samples
    weights = np.ones(window_samples, np.float32)
    if ramp:
        slope = (np.arange(ramp, dtype=np.float32) + 1) / (ramp + 1)
        weights[:ramp], weights[-ramp:] = slope, slope[::-1]
    return weights


def make_consistent(stems: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """Add an equal part of the residual to each stem `(stems, samples, channels)`, so that they sum to the mixture."""
    return stems + (mixture - stems.sum(axis=0)) / len(stems)


def resampled(blocks: Iterable[np.ndarray], from_rate: int, to_rate: int) -> Iterator[np.ndarray]:
    """Resample consecutive blocks of stems `(stems, samples, channels)`, without clicks at the block boundaries."""
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

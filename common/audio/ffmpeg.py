"""Decode formats that libsndfile cannot read, such as M4A, WMA and WebM, with PyAV and its FFmpeg (extra `ffmpeg`)."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from common import errors
from common.audio import sources

TOLERATED_SECONDS = 0.1  # encoders pad the last frame
# Formats that store their length; FFmpeg estimates it from the bit rate for others.
_EXACT = ("mov", "matroska")


_END = object()


class NotReadable(Exception):
    """FFmpeg cannot read the file; the message gives the reason, or what to install."""


class Recording:
    """A recording that FFmpeg decodes; see `common.audio.decoding.Recording`.

    Args:
        stack: Closes the recording at its exit.
        name: For messages.
        source: A path, or a file object that can seek.
        warn: Called with the name and a description of what is missing.

    Raises:
        NotReadable: PyAV is not installed, or the file has no audio that FFmpeg can decode.
    """

    def __init__(
        self, stack: contextlib.ExitStack, name: str, source: str | BinaryIO, warn: Callable[[str, str], None]
    ):
        try:
            import av  # Slow to import, and few files need it.
        except ImportError as error:
            raise NotReadable(errors.install_hint("ffmpeg")) from error
        self._av, self._stack, self._name, self._source, self._warn = av, stack, name, source, warn
        self._num_samples: int | None = None
        container, stream = self._opened()
        codec = stream.codec_context
        if codec is None or not codec.channels or not codec.sample_rate:
            raise NotReadable("FFmpeg finds no audio that it can decode")
        self.sample_rate, self.num_channels = codec.sample_rate, codec.channels
        self.encoding = f"{container.format.name} {codec.name}"

    @property
    def num_samples(self) -> int:
        """Samples per channel, counted by decoding: the length in the container is not exact."""
        if self._num_samples is None:
            self._num_samples = sum(len(block) for block in self.blocks())
        return self._num_samples

    def blocks(self, first: int = 0, num_samples: int | None = None, block_values: int = 2**20) -> Iterator[np.ndarray]:
        """Decode a segment; decoding always starts at the beginning. See `common.audio.decoding.Recording`."""
        end = None if num_samples is None else first + num_samples
        position, pending, num_pending = 0, [], 0
        block_samples = max(1, block_values // self.num_channels)
        for samples in self._decoded():
            kept = samples[max(0, first - position) : None if end is None else max(0, end - position)]
            position += len(samples)
            if len(kept):
                pending.append(kept)
                num_pending += len(kept)
            if num_pending >= block_samples:
                yield from _cut(np.concatenate(pending), block_samples)
                pending, num_pending = [], 0
            if end is not None and position >= end:
                break
        if pending:
            yield from _cut(np.concatenate(pending), block_samples)

    def _opened(self):
        """Open the container and its first audio stream."""
        if hasattr(self._source, "seek"):
            self._source.seek(0)
        source = self._source
        # FFmpeg takes names such as "http:…" for URLs, and cannot open names that are not valid text.
        if isinstance(source, str) and source.isprintable():
            source = f"file:{source}"
        else:
            file = self._stack.enter_context(open(source, "rb")) if isinstance(source, str) else source  # noqa: SIM115
            source = sources.SeekableAnywhere(file)
        try:
            container = self._stack.enter_context(self._av.open(source, metadata_errors="replace"))
            return container, container.streams.audio[0]
        except (self._av.FFmpegError, IndexError, ValueError) as error:
            raise NotReadable(f"FFmpeg: {getattr(error, 'strerror', None) or 'no audio stream in it'}") from error

    def _decoded(self) -> Iterator[np.ndarray]:
        """Decode the whole stream, float32 `(samples, channels)`; damaged packets are skipped."""
        container, stream = self._opened()
        num_damaged = num_samples = 0
        for block in self._converted(_frames(self._av, container, stream), stream.codec_context.layout):
            if block is None:
                num_damaged += 1
            else:
                num_samples += len(block)
                yield block
        stated = float(container.duration or 0) / self._av.time_base if self.encoding.startswith(_EXACT) else 0.0
        there = num_samples / self.sample_rate
        if num_damaged or stated > there + TOLERATED_SECONDS:
            self._warn(
                self._name,
                f"{there:.2f} of {max(stated, there):.2f} s can be decoded; the rest is damaged or missing",
            )

    def _converted(self, frames: Iterator, layout) -> Iterator[np.ndarray | None]:
        """Convert frames to samples; the sample rate and the channels may change within a stream."""
        resampler, made_for = None, None
        for frame in itertools.chain(frames, [_END]):
            converted = []
            try:
                kind = None if frame in (None, _END) else (frame.format.name, frame.layout.name, frame.sample_rate)
                if resampler is not None and kind != made_for and frame is not None:
                    converted += resampler.resample(None)
                if kind is not None:
                    if kind != made_for:
                        resampler, made_for = self._av.AudioResampler("flt", layout, self.sample_rate), kind
                    converted += resampler.resample(frame)
            except (self._av.FFmpegError, ValueError):
                frame = None
            yield from (part.to_ndarray().reshape(-1, self.num_channels) for part in converted)
            if frame is None:
                yield None


def _frames(av, container, stream) -> Iterator:
    """Decode packet by packet; yield None for a damaged one."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError:
            yield None
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            yield None


def _cut(samples: np.ndarray, block_samples: int) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), block_samples):
        yield samples[start : start + block_samples]

"""Recordings that libsndfile does not read, such as M4A, WMA and WebM: by FFmpeg's libraries, which PyAV carries (extra `ffmpeg`)."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

TOLERATED_SECONDS = 0.1  # encoders fill their last frame up
# Formats whose stated length is more than a guess from the bit rate.
_EXACT = ("mov", "matroska")


_END = object()


class NotReadable(Exception):
    """FFmpeg cannot help; the message says why, or what to install."""


class Recording:
    """A recording that FFmpeg decodes; see `common.audio.decoding.Recording`.

    Args:
        stack: What closes it.
        name: For messages.
        source: A path, or a file object that can seek.
        warn: Takes the name and what is missing of the recording.

    Raises:
        NotReadable: PyAV is not installed, or there is no sound in the file that FFmpeg knows.
    """

    def __init__(
        self, stack: contextlib.ExitStack, name: str, source: str | BinaryIO, warn: Callable[[str, str], None]
    ):
        try:
            import av  # Slow to import, and few files need it.
        except ImportError as error:
            raise NotReadable("install the extra ffmpeg: pip install 'quartet-audio[ffmpeg]'") from error
        self._av, self._stack, self._name, self._source, self._warn = av, stack, name, source, warn
        self._num_samples: int | None = None
        container, stream = self._opened()
        codec = stream.codec_context
        if codec is None or not codec.channels or not codec.sample_rate:
            raise NotReadable("FFmpeg finds no sound in it that it knows")
        self.sample_rate, self.num_channels = codec.sample_rate, codec.channels
        self.encoding = f"{container.format.name} {codec.name}"

    @property
    def num_samples(self) -> int:
        """Of each channel; what containers state is about right only, so the samples are counted."""
        if self._num_samples is None:
            self._num_samples = sum(len(block) for block in self.blocks())
        return self._num_samples

    def blocks(self, first: int = 0, num_samples: int | None = None, block_values: int = 2**20) -> Iterator[np.ndarray]:
        """Decode a stretch; a recording is decoded from its beginning. See `common.audio.decoding.Recording`."""
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
        """Open the container, and find its sound."""
        if hasattr(self._source, "seek"):
            self._source.seek(0)
        source = self._source
        if isinstance(source, str):
            # FFmpeg takes names for addresses ("http:…") unless told, and knows none that is no text.
            is_text = source.isprintable()
            source = f"file:{source}" if is_text else self._stack.enter_context(open(source, "rb"))  # noqa: SIM115
        try:
            container = self._stack.enter_context(self._av.open(source, metadata_errors="replace"))
            return container, container.streams.audio[0]
        except (self._av.FFmpegError, IndexError, ValueError) as error:
            raise NotReadable(f"FFmpeg: {getattr(error, 'strerror', None) or 'no sound in it'}") from error

    def _decoded(self) -> Iterator[np.ndarray]:
        """Decode all, float32 `(samples, channels)`; packets that are damaged are left out."""
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
                self._name, f"{there:.2f} of {max(stated, there):.2f} s can be decoded; the rest is damaged or missing"
            )

    def _converted(self, frames: Iterator, layout) -> Iterator[np.ndarray | None]:
        """Turn frames into samples; a stream may change its rate and its channels on its way."""
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
    """Decode packet after packet; None stands for one that is damaged."""
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

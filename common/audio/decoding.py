"""Recordings opened: what they hold, and their samples from any place on, whichever library decodes them.

libsndfile decodes most formats; what it does not know, such as M4A, goes to FFmpeg's libraries (`common.audio.ffmpeg`). How long a
recording is comes from its content (`common.audio.containers`), not from what its header claims.
"""

import contextlib
import io
import itertools
import logging
import os
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import numpy as np
import soundfile

from common.audio import containers, ffmpeg, sources
from common.audio import waveform as waveforms
from common.audio.sources import AudioSource
from common.errors import UserError

LOWEST_SAMPLE_RATE, HIGHEST_SAMPLE_RATE = 100, 10_000_000
BLOCK_VALUES = 2**20
_SMALL_BLOCK_SAMPLES = 2**9  # what is read at once where a file is damaged
_UNSEEKABLE = 40  # What libsndfile calls SFE_NOT_SEEKABLE.
_UNKNOWN_LENGTH = 2**36 - 1  # The largest count that FLAC can state, and what damaged headers tend to.
_MOST_EXAMINED = 1024
_LEFT_BYTES = 4096  # less is a tag, or fills a block of the disk
_said: set[str] = set()
_examined: dict[tuple, list[containers.Part]] = {}


class Recording(Protocol):
    """A recording that is open.

    Attributes:
        sample_rate: In hertz.
        num_channels: How many.
        num_samples: Of each channel.
        encoding: Container and codec, for people.
    """

    sample_rate: int
    num_channels: int
    num_samples: int
    encoding: str

    def blocks(
        self, first: int = 0, num_samples: int | None = None, block_values: int = BLOCK_VALUES
    ) -> Iterator[np.ndarray]:
        """Decode a stretch in blocks, so that a header that claims too much costs nothing.

        Args:
            first: The first sample.
            num_samples: How many; None reads to the end.
            block_values: Largest size of a block, all channels together.

        Yields:
            float32 of shape `(samples, channels)`, never empty.
        """
        ...


@contextlib.contextmanager
def opened(source: AudioSource) -> Iterator[tuple[str, Recording]]:
    """Open a recording.

    A file object that cannot seek, such as a pipe on standard input, is first copied to a temporary file, whose folder
    `TMPDIR` chooses; one that can is read where it is.

    Args:
        source: A path, or a binary file object (standard input is `sys.stdin.buffer`).

    Yields:
        Its name, for messages, and the recording.

    Raises:
        UserError: It is missing, a folder, empty, not audio, or its rate is absurd; inside the block too, where decoding
            fails.
    """
    name = sources.source_name(source)
    with contextlib.ExitStack() as stack:
        file = sources.seekable(stack, name, source)
        try:
            recording = _open(stack, name, file, None if hasattr(source, "read") else os.fspath(source))
            check_rate(name, recording.sample_rate)
            yield name, recording
        except (soundfile.LibsndfileError, TypeError) as error:
            raise unreadable(name, error) from error
        except ffmpeg.NotReadable as error:
            raise unreadable(name, error, str(error)) from error


def _open(stack: contextlib.ExitStack, name: str, file: BinaryIO, path: str | None) -> Recording:
    parts = _parts_of(file, path)
    whole = not parts or parts[0].is_file(file.seek(0, io.SEEK_END))
    # libsndfile reads a path faster than a file object.
    sources = [path or file] if whole else [containers.PartFile(file, part) for part in parts]
    streams = [_open_stream(stack, name, source) for source in sources]
    for part, stream in zip(parts, streams, strict=False):
        _say_what_is_missing(name, part, stream)
    return streams[0] if len(streams) == 1 else _Joined(streams)


def _parts_of(file: BinaryIO, path: str | None) -> list[containers.Part]:
    """Find what a file holds; of one on disk once, for many excerpts may be read from it."""
    if path is None:
        return containers.examine(file)
    status = os.fstat(file.fileno())
    key = (os.fspath(path), status.st_size, status.st_mtime_ns, status.st_ino)
    if key not in _examined:
        while len(_examined) >= _MOST_EXAMINED:
            _examined.pop(next(iter(_examined)), None)
        _examined[key] = containers.examine(file)
    return _examined[key]


def _open_stream(stack: contextlib.ExitStack, name: str, source: str | BinaryIO) -> Recording:
    try:
        return _Sound(stack, name, source)
    except (soundfile.LibsndfileError, TypeError) as error:
        try:
            return ffmpeg.Recording(stack, name, source, warn)
        except ffmpeg.NotReadable as ffmpeg_error:
            raise unreadable(name, error, str(ffmpeg_error)) from error


def _say_what_is_missing(name: str, part: containers.Part, stream: Recording) -> None:
    if part.has_gap:
        warn(name, "something is missing inside, its parts are not numbered one after another")
    if part.num_left > _LEFT_BYTES:
        warn(name, f"{part.num_left:,} bytes behind its samples are no part of it by its header, and are left out")
    if not part.stated_samples and not part.lacks_end:
        return
    there, stated = (samples / stream.sample_rate for samples in (stream.num_samples, part.stated_samples))
    if stated > there + ffmpeg.TOLERATED_SECONDS:
        warn(name, f"{there:.2f} of the {stated:.2f} s that its header states are there; the rest is missing")
    elif part.lacks_end:
        warn(name, f"it breaks off after {there:.2f} s; how much is missing is not known")


def warn(name: str, what: str) -> None:
    """Say once of a recording that something is missing."""
    if name not in _said:
        _said.add(name)
        logging.warning("%s: %s", name, what)


class _Sound:
    """A stream that libsndfile decodes; see `Recording`."""

    def __init__(self, stack: contextlib.ExitStack, name: str, source: str | BinaryIO):
        self._stack, self._name, self._source = stack, name, source
        self._unread: ForwardFile | None = self._opened_anew()
        header = self._unread
        self.sample_rate, self.num_channels = header.samplerate, header.channels
        self.encoding = f"{header.format} {header.subtype}"
        self.num_samples = header.frames
        if self.num_samples >= _UNKNOWN_LENGTH:
            self.num_samples = sum(map(len, _read_on(self._opened(0), None, BLOCK_VALUES // self.num_channels)))

    def blocks(
        self, first: int = 0, num_samples: int | None = None, block_values: int = BLOCK_VALUES
    ) -> Iterator[np.ndarray]:
        """Decode a stretch; where samples are damaged it ends, with a word."""
        if first >= self.num_samples:
            return
        wanted = self.num_samples - first
        if num_samples is not None:
            wanted = min(wanted, num_samples)
        num_read = 0
        try:
            for block in _read_on(self._opened(first), wanted, max(1, block_values // self.num_channels)):
                num_read += len(block)
                yield block
            if wanted - num_read > ffmpeg.TOLERATED_SECONDS * self.sample_rate:
                warn(self._name, f"it ends after {(first + num_read) / self.sample_rate:.2f} s, before it should")
            return
        except soundfile.LibsndfileError as error:
            damage = error
        # The block in which decoding failed begins with samples that are sound.
        for block in self._up_to_damage(first + num_read):
            kept = block[: wanted - num_read]
            num_read += len(kept)
            if len(kept):
                yield kept
        if not num_read:
            raise damage
        seconds = (first + num_read) / self.sample_rate
        warn(self._name, f"it is damaged after {seconds:.2f} s ({_reason(damage)}); what follows is left out")

    def _up_to_damage(self, first: int) -> Iterator[np.ndarray]:
        """Decode from the beginning in small blocks, and hand on what follows a sample."""
        position = 0
        with contextlib.suppress(soundfile.LibsndfileError):
            for block in _read_on(self._opened(0), None, _SMALL_BLOCK_SAMPLES):
                yield block[max(0, first - position) :]
                position += len(block)

    def _opened(self, first: int) -> "ForwardFile":
        """Open the stream at a sample: after an error, or a pass, libsndfile may not find back."""
        file, self._unread = self._unread or self._opened_anew(), None
        if first:
            _skip(file, first)
        return file

    def _opened_anew(self) -> "ForwardFile":
        if hasattr(self._source, "seek"):
            self._source.seek(0)
        return self._stack.enter_context(ForwardFile(self._source))


class _Joined:
    """Recordings that follow each other in a file: all are heard as the first is, in rate and channels."""

    def __init__(self, recordings: list[Recording]):
        self._recordings = recordings
        first = recordings[0]
        self.sample_rate, self.num_channels, self.encoding = first.sample_rate, first.num_channels, first.encoding
        self._lengths = [
            -(-recording.num_samples * self.sample_rate // recording.sample_rate) for recording in recordings
        ]
        self.num_samples = sum(self._lengths)

    def blocks(
        self, first: int = 0, num_samples: int | None = None, block_values: int = BLOCK_VALUES
    ) -> Iterator[np.ndarray]:
        """Decode a stretch; see `Recording`."""
        wanted = self.num_samples if num_samples is None else num_samples
        for recording, length in zip(self._recordings, self._lengths, strict=True):
            if first < length and wanted > 0:
                for block in self._as_first(recording, first, wanted, block_values):
                    wanted -= len(block)
                    if len(block):
                        yield block
            first = max(0, first - length)

    def _as_first(self, recording: Recording, first: int, wanted: int, block_values: int) -> Iterator[np.ndarray]:
        """Decode a stretch of a recording, counted as the first recording's samples."""
        if (recording.sample_rate, recording.num_channels) == (self.sample_rate, self.num_channels):
            yield from recording.blocks(first, wanted, block_values)
            return
        resampler = waveforms.resampler(recording.sample_rate, self.sample_rate, self.num_channels)
        position = 0
        for block in itertools.chain(recording.blocks(0, None, block_values), [None]):
            last = block is None
            block = np.zeros((0, self.num_channels), np.float32) if last else _with_channels(block, self.num_channels)
            if recording.sample_rate != self.sample_rate:
                block = resampler.resample_chunk(block, last=last)
            yield block[max(0, first - position) : max(0, first + wanted - position)]
            position += len(block)


def _with_channels(block: np.ndarray, num_channels: int) -> np.ndarray:
    """Repeat the mean of all channels where a recording has other channels than the one before."""
    if block.shape[1] == num_channels:
        return block
    return np.repeat(block.mean(axis=1, keepdims=True, dtype=np.float32), num_channels, axis=1)


def _read_on(file: "ForwardFile", num_samples: int | None, block_samples: int) -> Iterator[np.ndarray]:
    """Read on in blocks, float32 `(samples, channels)`."""
    num_read = 0
    while num_samples is None or num_read < num_samples:
        wanted = block_samples if num_samples is None else min(block_samples, num_samples - num_read)
        block = file.read(out=np.empty((wanted, file.channels), np.float32))
        if len(block):
            yield block
        num_read += len(block)
        if len(block) < wanted:
            return


def _skip(file: "ForwardFile", num_samples: int) -> None:
    """Go from the beginning of a file to a sample.

    Ogg is decoded up to there: libsndfile 1.2 crashes if it seeks in some damaged ones. So is what knows no seeking, such
    as GSM 6.10.

    Raises:
        soundfile.LibsndfileError: The file is damaged.
    """
    if file.format != "OGG":
        try:
            file.seek(num_samples)
            return
        except soundfile.LibsndfileError as error:
            if error.code != _UNSEEKABLE:
                raise
    for _ in _read_on(file, num_samples, max(1, BLOCK_VALUES // file.channels)):
        pass


class ForwardFile(soundfile.SoundFile):
    """A file that is read forwards, after at most one seek.

    soundfile seeks after every read of a seekable file, and at the end of a FLAC file whose header does not know its
    length, or states it wrongly, that fails.
    """

    def __init__(self, source: str | BinaryIO):
        # Names are bytes: Linux takes some that are no text.
        super().__init__(os.fsencode(source) if isinstance(source, str) else _SeekableAnywhere(source))

    def seekable(self) -> bool:
        """Say no, so that reading does not seek."""
        return False


class _SeekableAnywhere:
    """A file object for libsndfile, which damaged headers send to places that Python refuses, printing a traceback."""

    def __init__(self, file: BinaryIO):
        self.read, self.tell, self._seek = file.read, file.tell, file.seek

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there, or stay."""
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError):
            return self.tell()


def unreadable(name: str, error: Exception, of_ffmpeg: str = "") -> UserError:
    """Return the error for a file that no decoder understands.

    Args:
        name: The file.
        error: What libsndfile said.
        of_ffmpeg: What FFmpeg said, or what to install.
    """
    can_be_installed = of_ffmpeg.startswith("install")
    reason = _reason(error) if can_be_installed or not of_ffmpeg else f"{_reason(error)}; {of_ffmpeg}"
    way_out = of_ffmpeg if can_be_installed else "convert it or leave it out"
    return UserError(f"{name} is not audio that can be read ({reason}); expected {sources.READABLE}: {way_out}")


def _reason(error: Exception) -> str:
    # Of an MP3 without a single frame libsndfile says that it is no regular file, which it is.
    reason = str(getattr(error, "error_string", error)).split(" or is not a regular file")[0].rstrip(".")
    return reason.replace("File does not exist", "no frames found").removeprefix("Error : ")


def check_rate(name: str, sample_rate: int) -> None:
    """Refuse the sample rate of a damaged header.

    Raises:
        UserError: It is not within LOWEST_SAMPLE_RATE and HIGHEST_SAMPLE_RATE.
    """
    if not LOWEST_SAMPLE_RATE <= sample_rate <= HIGHEST_SAMPLE_RATE:
        raise UserError(
            f"{name} claims a sample rate of {sample_rate} Hz; expected {LOWEST_SAMPLE_RATE} to {HIGHEST_SAMPLE_RATE}: "
            "the header is damaged, write the file again"
        )

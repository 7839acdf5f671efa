"""Open recordings and decode them from any sample.

libsndfile decodes most formats. Others, such as M4A, are decoded by FFmpeg's libraries (`common.audio.ffmpeg`). The
length of a recording comes from its content (`common.audio.containers`), not from its header.
"""

import contextlib
import io
import itertools
import os
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import numpy as np
import soundfile

from common.audio import containers, ffmpeg, sources
from common.audio import waveform as waveforms
from common.audio.sources import AudioSource
from common.errors import UserError
from common.log import logger

LOWEST_SAMPLE_RATE, HIGHEST_SAMPLE_RATE = 100, 10_000_000
BLOCK_VALUES = 2**20
_SMALL_BLOCK_SAMPLES = 2**9  # block size for damaged files
_UNSEEKABLE = 40  # libsndfile's SFE_NOT_SEEKABLE
_UNKNOWN_LENGTH = 2**36 - 1  # the largest length in a FLAC header, common in damaged headers
_MOST_EXAMINED = 1024
_LEFT_BYTES = 4096  # fewer trailing bytes are a tag or padding
_said: set[str] = set()
_examined: dict[tuple, list[containers.Part]] = {}


class Recording(Protocol):
    """An open recording.

    Attributes:
        sample_rate: In Hz.
        num_channels: Number of channels.
        num_samples: Samples per channel.
        encoding: Container and codec, for display.
    """

    sample_rate: int
    num_channels: int
    num_samples: int
    encoding: str

    def blocks(
        self, first: int = 0, num_samples: int | None = None, block_values: int = BLOCK_VALUES
    ) -> Iterator[np.ndarray]:
        """Decode a segment in blocks, so that memory does not depend on the length in the header.

        Args:
            first: The first sample.
            num_samples: Number of samples; None reads to the end.
            block_values: Maximum number of values in a block, over all channels.

        Yields:
            float32 of shape `(samples, channels)`, never empty.
        """
        ...


@contextlib.contextmanager
def opened(source: AudioSource) -> Iterator[tuple[str, Recording]]:
    """Open a recording.

    A file object that cannot seek, such as a pipe on standard input, is first copied to a temporary file in `TMPDIR`.
    Other files are read in place.

    Args:
        source: A path, or a binary file object (standard input is `sys.stdin.buffer`).

    Yields:
        The name of the recording, for messages, and the recording.

    Raises:
        UserError: It is missing, a folder, empty, not audio, or its sample rate is out of range. Decoding errors inside
            the `with` block raise it too.
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
        _warn_if_incomplete(name, part, stream)
    return streams[0] if len(streams) == 1 else _Joined(streams)


def _parts_of(file: BinaryIO, path: str | None) -> list[containers.Part]:
    """Return the streams in a file; cached for files on disk, from which many excerpts may be read."""
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


def _warn_if_incomplete(name: str, part: containers.Part, stream: Recording) -> None:
    if part.has_gap:
        warn(name, "its page numbers are not consecutive, so part of it is missing")
    if part.num_left > _LEFT_BYTES:
        warn(name, f"ignored {part.num_left:,} bytes after the end that its header states")
    if not part.stated_samples and not part.lacks_end:
        return
    there, stated = (samples / stream.sample_rate for samples in (stream.num_samples, part.stated_samples))
    if stated > there + ffmpeg.TOLERATED_SECONDS:
        warn(name, f"it has {there:.2f} of the {stated:.2f} s that its header states; the rest is missing")
    elif part.lacks_end:
        warn(name, f"it is cut off after {there:.2f} s; the length of the missing part is unknown")


def warn(name: str, what: str) -> None:
    """Log a warning about a recording, at most one per recording."""
    if name not in _said:
        _said.add(name)
        logger.warning("%s: %s", name, what)


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
        """Decode a segment; stop with a warning at damaged samples."""
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
                warn(self._name, f"it ends early, after {(first + num_read) / self.sample_rate:.2f} s")
            return
        except soundfile.LibsndfileError as error:
            damage = error
        # The block that failed to decode begins with intact samples.
        for block in self._up_to_damage(first + num_read):
            kept = block[: wanted - num_read]
            num_read += len(kept)
            if len(kept):
                yield kept
        if not num_read:
            raise damage
        seconds = (first + num_read) / self.sample_rate
        warn(self._name, f"it is damaged after {seconds:.2f} s ({_reason(damage)}); the rest is ignored")

    def _up_to_damage(self, first: int) -> Iterator[np.ndarray]:
        """Decode from the beginning in small blocks; yield the samples from `first` on."""
        position = 0
        with contextlib.suppress(soundfile.LibsndfileError):
            for block in _read_on(self._opened(0), None, _SMALL_BLOCK_SAMPLES):
                yield block[max(0, first - position) :]
                position += len(block)

    def _opened(self, first: int) -> "ForwardFile":
        """Open the stream at a sample: libsndfile may not be able to seek back after an error or a full pass."""
        file, self._unread = self._unread or self._opened_anew(), None
        if first:
            _skip(file, first)
        return file

    def _opened_anew(self) -> "ForwardFile":
        if hasattr(self._source, "seek"):
            self._source.seek(0)
        return self._stack.enter_context(ForwardFile(self._source))


class _Joined:
    """Concatenated recordings in one file; all are converted to the sample rate and channels of the first."""

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
        """Decode a segment; see `Recording`."""
        wanted = self.num_samples if num_samples is None else num_samples
        for recording, length in zip(self._recordings, self._lengths, strict=True):
            if first < length and wanted > 0:
                for block in self._as_first(recording, first, wanted, block_values):
                    wanted -= len(block)
                    if len(block):
                        yield block
            first = max(0, first - length)

    def _as_first(self, recording: Recording, first: int, wanted: int, block_values: int) -> Iterator[np.ndarray]:
        """Decode a segment of a recording; positions are in samples at the rate of the first recording."""
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
    """Convert a block to `num_channels` channels; other channel counts are replaced by their mean."""
    if block.shape[1] == num_channels:
        return block
    return np.repeat(block.mean(axis=1, keepdims=True, dtype=np.float32), num_channels, axis=1)


def _read_on(file: "ForwardFile", num_samples: int | None, block_samples: int) -> Iterator[np.ndarray]:
    """Read from the current position in blocks, float32 `(samples, channels)`."""
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
    """Move from the beginning of a file to a sample.

    Ogg is decoded up to that sample: libsndfile 1.2 crashes when it seeks in some damaged Ogg files. Encodings that
    cannot seek, such as GSM 6.10, are decoded too.

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
    """A file that is read forward, after at most one seek.

    soundfile seeks after every read of a seekable file. That fails at the end of a FLAC file whose header has no length
    or a wrong one.
    """

    def __init__(self, source: str | BinaryIO):
        # As bytes: file names on Linux need not be valid text.
        super().__init__(os.fsencode(source) if isinstance(source, str) else sources.SeekableAnywhere(source))

    def seekable(self) -> bool:
        """Return False, so that reading does not seek."""
        return False


def unreadable(name: str, error: Exception, of_ffmpeg: str = "") -> UserError:
    """Return the error for a file that no decoder can read.

    Args:
        name: The file.
        error: The error of libsndfile.
        of_ffmpeg: The error message of FFmpeg, or what to install.
    """
    can_be_installed = of_ffmpeg.startswith("install")
    reason = _reason(error) if can_be_installed or not of_ffmpeg else f"{_reason(error)}; {of_ffmpeg}"
    hint = of_ffmpeg if can_be_installed else "convert it or leave it out"
    return UserError(f"{name} is not readable audio ({reason}); expected {sources.READABLE}: {hint}")


def _reason(error: Exception) -> str:
    # For an MP3 without frames libsndfile wrongly reports "File does not exist or is not a regular file".
    reason = str(getattr(error, "error_string", error)).split(" or is not a regular file")[0].rstrip(".")
    return reason.replace("File does not exist", "no frames found").removeprefix("Error : ")


def check_rate(name: str, sample_rate: int) -> None:
    """Reject an implausible sample rate, as damaged headers have.

    Raises:
        UserError: It is not between LOWEST_SAMPLE_RATE and HIGHEST_SAMPLE_RATE.
    """
    if not LOWEST_SAMPLE_RATE <= sample_rate <= HIGHEST_SAMPLE_RATE:
        raise UserError(
            f"{name} states a sample rate of {sample_rate} Hz; expected {LOWEST_SAMPLE_RATE} to {HIGHEST_SAMPLE_RATE}: "
            "the header is damaged, export the file again"
        )

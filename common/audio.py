"""Audio files in and out: any file, any rate, any channel count, to and from a float32 waveform.

Full scale is [-1, 1]. Files of floating-point samples may go beyond it, and so may decoded MP3, Ogg and AAC; such
samples are kept as they are, because cutting them would add distortion that the recording does not have.
"""

import io
import math
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import soundfile
import soxr

from common import audio_writer
from common.errors import UserError

AudioSource = str | os.PathLike | BinaryIO

LOWEST_SAMPLE_RATE, HIGHEST_SAMPLE_RATE = 100, 10_000_000
_READABLE = "WAV, FLAC, MP3, Ogg, AIFF or AU"
_FFMPEG_SUFFIXES = (".m4a", ".mp4", ".aac", ".wma")
BLOCK_VALUES = 2**20
_UNSEEKABLE = 40  # What libsndfile calls SFE_NOT_SEEKABLE.
_UNKNOWN_LENGTH = 2**36 - 1  # The largest count that FLAC can state, and what damaged headers tend to.


class AudioInfo(NamedTuple):
    """What the header of an audio file says."""

    sample_rate: int
    num_channels: int
    num_samples: int
    encoding: str

    @property
    def duration_seconds(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate


def read(
    path_or_file: AudioSource,
    sample_rate: int | None = None,
    mono: bool = True,
    start: float = 0.0,
    duration: float | None = None,
) -> tuple[np.ndarray, int]:
    """Read an audio file, or an excerpt of it, as a float32 waveform.

    Only the wanted excerpt is decoded. Memory follows the samples that are there, not the number the header claims. Of
    an MP3 with variable bit rate and no Xing header libsndfile reads no more than the length it estimates.

    Args:
        path_or_file: A path, or a binary file object (standard input is `sys.stdin.buffer`).
        sample_rate: Rate in Hz to resample to; None keeps the file's own.
        mono: Whether to average the channels into one.
        start: Where the excerpt begins, in seconds.
        duration: Length of the excerpt in seconds; None or NaN reads to the end. An excerpt that runs past the end is
            as long as what is there.

    Returns:
        The waveform, shape `(samples,)`, or `(samples, channels)` if `mono` is False, and its rate in Hz.

    Raises:
        UserError: The file is missing, a folder, empty, without samples, not audio, or its rate is absurd.
        UserError: The excerpt begins past the end.
        UserError: A sample is NaN or infinite.

    Example:
        >>> import io, soundfile
        >>> file = io.BytesIO()
        >>> soundfile.write(file, [[0.5, 0.0], [0.5, 0.5]], 8000, format="WAV")
        >>> _ = file.seek(0)
        >>> read(file)
        (array([0.25, 0.5 ], dtype=float32), 8000)
    """
    if start < 0 or (duration is not None and duration <= 0):
        raise UserError(f"an excerpt starts at 0 s or later and lasts more than 0 s; received {start} and {duration}")
    name, source = _open_source(path_or_file)
    length = None if duration is None or math.isnan(duration) else duration
    try:
        with ForwardFile(source) as file:
            waveform, file_rate = _read_excerpt(file, start, length), file.samplerate
    except (soundfile.LibsndfileError, TypeError) as error:
        if not may_be_for_librosa(error, path_or_file):
            raise unreadable(name, error) from error
        try:
            waveform, file_rate = _read_with_librosa(name, start, length)
        except Exception as librosa_error:  # Each of its decoders has exceptions of its own.
            raise unreadable(name, error) from librosa_error
    return conform(name, waveform, file_rate, sample_rate, mono, start)


def conform(
    name: str, waveform: np.ndarray, file_rate: int, sample_rate: int | None, mono: bool, start: float = 0.0
) -> tuple[np.ndarray, int]:
    """Check what a decoder gave, and turn it into the channels and the rate that are wanted.

    Args:
        name: The file, for messages.
        waveform: Shape `(samples, channels)`, already cut to the excerpt.
        file_rate: Its rate in Hz.
        sample_rate: The wanted rate in Hz; None keeps the file's own.
        mono: Whether to average the channels into one.
        start: Where the excerpt began in seconds, for messages.

    Returns:
        The waveform and its rate, as `read`.

    Raises:
        UserError: There are no samples, one is NaN or infinite, or the rate is absurd.
    """
    check_rate(name, file_rate)
    if not len(waveform):
        raise UserError(
            f"{name} has no samples{f' at {start} s or later' if start else ''}; "
            "expected at least one: delete the file, or record it again"
        )
    if not np.isfinite(waveform).all():
        raise UserError(f"{name} contains NaN or infinite samples; expected finite ones: write the file again")
    if mono:
        waveform = waveform[:, 0] if waveform.shape[1] == 1 else waveform.mean(axis=1, dtype=np.float32)
    if sample_rate is None:
        return waveform, file_rate
    return resample(waveform, file_rate, sample_rate), sample_rate


def info(path_or_file: AudioSource) -> AudioInfo:
    """Read the header of an audio file: rate, channels, samples and encoding.

    A stream whose header leaves the length open, such as FLAC written into a pipe, is decoded to count its samples.

    Raises:
        UserError: The file is missing, a folder, empty, or not audio that libsndfile reads.
    """
    name, source = _open_source(path_or_file)
    try:
        with ForwardFile(source) as file:
            check_rate(name, file.samplerate)
            num_samples = file.frames
            if num_samples >= _UNKNOWN_LENGTH:
                num_samples = sum(len(block) for block in decode(file))
            return AudioInfo(file.samplerate, file.channels, num_samples, f"{file.format} {file.subtype}")
    except (soundfile.LibsndfileError, TypeError) as error:
        raise unreadable(name, error) from error


def resample(waveform: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Change the sample rate by band-limited interpolation (soxr, quality HQ: 20 bits of precision).

    Args:
        waveform: Shape `(samples,)` or `(samples, channels)`.
        from_rate: Present rate in Hz.
        to_rate: Wanted rate in Hz.

    Returns:
        float32, `ceil(samples * to_rate / from_rate)` long, as `librosa.resample` gives; the peak may grow slightly.

    Example:
        >>> resample(np.zeros(11025, np.float32), 11025, 16000).shape
        (16000,)
    """
    waveform = np.asarray(waveform, np.float32)
    if from_rate == to_rate:
        return waveform
    num_samples = -(-len(waveform) * int(to_rate) // int(from_rate))
    return fit_length(soxr.resample(waveform, from_rate, to_rate, quality="HQ"), num_samples)


def fit_length(waveform: np.ndarray, num_samples: int) -> np.ndarray:
    """Cut the end of a waveform, or append silence, so that it has `num_samples` samples.

    Args:
        waveform: Shape `(samples,)` or `(samples, channels)`.
        num_samples: Wanted length.

    Returns:
        Shape `(num_samples,)` or `(num_samples, channels)`.

    Example:
        >>> fit_length(np.array([1.0, 2.0]), 3)
        array([1., 2., 0.])
    """
    missing = max(0, num_samples - len(waveform))
    return np.pad(waveform[:num_samples], [(0, missing)] + [(0, 0)] * (waveform.ndim - 1))


def loudest_excerpt(waveform: np.ndarray, num_samples: int) -> np.ndarray:
    """Cut the excerpt with the most energy, the earliest of equals; a shorter waveform is followed by silence.

    Args:
        waveform: Shape `(samples,)`.
        num_samples: Wanted length.

    Returns:
        Shape `(num_samples,)`.

    Example:
        >>> loudest_excerpt(np.array([0.0, 0.1, 0.9, 0.8, 0.0]), 2)
        array([0.9, 0.8])
    """
    if len(waveform) <= num_samples:
        return fit_length(waveform, num_samples)
    energy = np.concatenate([[0.0], np.cumsum(np.square(waveform, dtype=np.float64))])
    start = int(np.argmax(energy[num_samples:] - energy[:-num_samples]))
    return waveform[start : start + num_samples]


def at_peak(waveform: np.ndarray, peak: float = 0.9) -> np.ndarray:
    """Scale a waveform so that its loudest sample is `peak`, which leaves room for what players add; silence stays.

    Example:
        >>> at_peak(np.array([0.1, -0.2])).tolist()
        [0.45, -0.9]
    """
    loudest = np.abs(waveform).max(initial=0.0)
    return waveform * (peak / loudest) if loudest > 1e-6 else waveform


def write(path: str | os.PathLike, waveform: np.ndarray, sample_rate: int, subtype: str | None = None) -> None:
    """Write a waveform to a file, whole or not at all; the suffix chooses the format.

    Samples beyond [-1, 1] are clipped, with a warning that says how many, unless the encoding is of floating point.

    Args:
        path: For example `voice.wav`, `voice.flac`, `voice.ogg`, `voice.mp3`.
        waveform: Shape `(samples,)` or `(samples, channels)`, full scale [-1, 1].
        sample_rate: In Hz.
        subtype: Encoding as soundfile names it, for example `PCM_16`, `PCM_24` or `FLOAT`; None takes the format's
            usual one (16 bits for WAV and FLAC).

    Raises:
        UserError: The waveform is empty or has NaN or infinite samples.
        UserError: The format is unknown, or does not know the subtype, rate or channel count.
        UserError: The folder cannot be written to.
    """
    waveform = np.asarray(waveform, np.float32)
    if waveform.ndim not in (1, 2) or not waveform.size:
        raise UserError(f"cannot write {path}: expected (samples,) or (samples, channels), received {waveform.shape}")
    num_channels = 1 if waveform.ndim == 1 else waveform.shape[1]
    with audio_writer.opened(path, sample_rate, num_channels, subtype) as write_block:
        write_block(waveform)


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


def source_name(path_or_file: AudioSource) -> str:
    """Return the name of a recording for messages; a path must lead to a file that has content and may be read.

    Raises:
        UserError: The path leads to nothing, a folder, an empty file, or one that may not be read.
    """
    if hasattr(path_or_file, "read"):
        name = getattr(path_or_file, "name", None)
        return name if isinstance(name, str) and name != "<stdin>" else "standard input"
    path = Path(path_or_file)
    try:
        if path.is_dir():
            raise UserError(f"{path} is a folder; expected an audio file such as {_READABLE}")
        if not path.exists():
            raise UserError(f"{path} does not exist; expected an audio file such as {_READABLE}: check the path")
        if not path.is_file():
            raise UserError(f"{path} is not a regular file; expected an audio file such as {_READABLE}")
        if not path.stat().st_size:
            raise empty(str(path))
        with path.open("rb"):
            pass
    except OSError as error:
        raise UserError(
            f"cannot open {path}: {error.strerror or error}; expected an audio file that you may read"
        ) from error
    return str(path)


def decode(file: ForwardFile, num_samples: int | None = None, block_values: int = BLOCK_VALUES) -> Iterator[np.ndarray]:
    """Read on in blocks, so that a header that claims too much costs nothing.

    Args:
        file: Stands where reading is to begin.
        num_samples: Where to stop; None reads to the end.
        block_values: Largest size of a block, all channels together.

    Yields:
        float32 of shape `(samples, channels)`; a single empty block if nothing is there.
    """
    block_samples = max(1, block_values // file.channels)
    num_read = 0
    while num_samples is None or num_read < num_samples:
        wanted = block_samples if num_samples is None else min(block_samples, num_samples - num_read)
        block = file.read(out=np.empty((wanted, file.channels), np.float32))
        if len(block) or not num_read:
            yield block
        num_read += len(block)
        if len(block) < wanted:
            return


def skip(file: ForwardFile, num_samples: int) -> None:
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
    for _ in decode(file, num_samples):
        pass


def _open_source(path_or_file: AudioSource) -> tuple[str, str | BinaryIO]:
    """Return the name for messages and what soundfile can open; a file object is read whole, for pipes cannot seek."""
    name = source_name(path_or_file)
    if not hasattr(path_or_file, "read"):
        return name, name
    content = path_or_file.read()
    if not content:
        raise empty(name)
    return name, io.BytesIO(content)


def _read_excerpt(file: ForwardFile, start: float, duration: float | None) -> np.ndarray:
    """Return `(samples, channels)`, empty if the excerpt begins past the end."""
    first = round(start * file.samplerate)
    wanted = None if duration is None else max(1, round(duration * file.samplerate))
    if first:
        if first >= file.frames:
            return np.empty((0, file.channels), np.float32)
        skip(file, first)
    return np.concatenate(list(decode(file, wanted)))


def may_be_for_librosa(error: Exception, path_or_file: AudioSource) -> bool:
    """Say whether libsndfile does not know the format, as with M4A, which librosa's audioread may."""
    format_not_recognised = 1
    return getattr(error, "code", None) == format_not_recognised and not hasattr(path_or_file, "read")


def _read_with_librosa(path: str, start: float, duration: float | None) -> tuple[np.ndarray, int]:
    import librosa  # Slow to import, and few files need it.

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        waveform, rate = librosa.load(path, sr=None, mono=False, offset=start, duration=duration)
    return np.atleast_2d(waveform).T, int(rate)


def empty(name: str) -> UserError:
    """Return the error for a recording of no bytes."""
    return UserError(f"{name} is empty (0 bytes); expected audio such as {_READABLE}")


def unreadable(name: str, error: Exception) -> UserError:
    """Return the error for a file that no decoder understands; `error` is what libsndfile said."""
    # Of an MP3 without a single frame libsndfile says that it is no regular file, which it is.
    reason = str(getattr(error, "error_string", error)).split(" or is not a regular file")[0].rstrip(".")
    reason = reason.replace("File does not exist", "no frames found")
    needs_ffmpeg = Path(name).suffix.lower() in _FFMPEG_SUFFIXES
    way_out = "install ffmpeg, which such files need, or convert it" if needs_ffmpeg else "convert or remove it"
    return UserError(f"{name} is not audio that can be read ({reason}); expected {_READABLE}: {way_out}")


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

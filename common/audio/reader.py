"""Audio files in and out: any file, any rate, any channel count, to and from a float32 waveform.

Full scale is [-1, 1]. Files of floating-point samples may go beyond it, and so may decoded MP3, Ogg and AAC; such
samples are kept as they are, because cutting them would add distortion that the recording does not have.
"""

import math
from typing import NamedTuple

import numpy as np

from common.audio import decoding
from common.audio.sources import AudioSource
from common.audio.waveform import resample
from common.errors import UserError

# Channels whose mean has less than this fraction of their own energy cancel each other out.
_CANCELLED_ENERGY = 0.01


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

    Only the wanted excerpt is decoded. What is there is read, whatever the header claims; where something is missing, or
    cannot be decoded, a warning says how much.

    Args:
        path_or_file: A path, or a binary file object (standard input is `sys.stdin.buffer`).
        sample_rate: Rate in Hz to resample to; None keeps the file's own.
        mono: Whether to make one channel of all, see `to_mono`.
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
    length = check_excerpt(start, duration)
    with decoding.opened(path_or_file) as (name, recording):
        file_rate = recording.sample_rate
        first = round(start * file_rate)
        wanted = None if length is None else max(1, round(length * file_rate))
        blocks = list(recording.blocks(first, wanted))
        waveform = np.concatenate(blocks) if blocks else np.empty((0, recording.num_channels), np.float32)
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
        mono: Whether to make one channel of all, see `to_mono`.
        start: Where the excerpt began in seconds, for messages.

    Returns:
        The waveform and its rate, as `read`.

    Raises:
        UserError: There are no samples, one is NaN or infinite, or the rate is absurd.
    """
    if not len(waveform):
        raise no_samples(name, start)
    if not np.isfinite(waveform).all():
        raise UserError(f"{name} contains NaN or infinite samples; expected finite ones: write the file again")
    if mono:
        waveform = to_mono(waveform, name)
    if sample_rate is None:
        return waveform, file_rate
    return resample(waveform, file_rate, sample_rate), sample_rate


def no_samples(name: str, start: float = 0.0) -> UserError:
    """Return the error for a recording, or an excerpt that begins at `start` seconds, without samples."""
    where = f" at {start} s or later" if start else ""
    return UserError(f"{name} has no samples{where}; expected at least one: record it again, or leave it out")


def check_excerpt(start: float, duration: float | None) -> float | None:
    """Return the length of an excerpt in seconds, None for all that follows.

    Raises:
        UserError: It would begin before the recording, or be empty.
    """
    if start < 0 or (duration is not None and duration <= 0):
        raise UserError(f"an excerpt starts at 0 s or later and lasts more than 0 s; received {start} and {duration}")
    return None if duration is None or math.isnan(duration) else duration


def to_mono(waveform: np.ndarray, name: str = "") -> np.ndarray:
    """Make one channel of all: their mean, or the first of them where they cancel each other out.

    A cable with swapped poles records one channel upside down: the mean is silence then, or nearly.

    Args:
        waveform: Shape `(samples, channels)`.
        name: The recording, for the warning; none is given for an empty name.

    Returns:
        Shape `(samples,)`.

    Example:
        >>> to_mono(np.array([[0.5, -0.5], [0.25, -0.25]]))
        array([0.5 , 0.25])
    """
    if waveform.shape[1] == 1:
        return waveform[:, 0]
    mean = waveform.mean(axis=1, dtype=waveform.dtype)
    energies = np.square(waveform, dtype=np.float64).sum(axis=0)
    if np.square(mean, dtype=np.float64).sum() >= _CANCELLED_ENERGY * energies.mean():
        return mean
    if name:
        decoding.warn(name, "its channels cancel each other out, so one of them is read in place of their mean")
    # Of channels as loud as each other the first; one of several may be silent.
    return waveform[:, int(np.argmax(energies >= energies.max() / 2))]


def info(path_or_file: AudioSource) -> AudioInfo:
    """Read the header of an audio file: rate, channels, samples and encoding.

    The length is that of what is there. Where only decoding tells, as of M4A, the samples are decoded to count them.

    Raises:
        UserError: The file is missing, a folder, empty, or not audio that can be read.
    """
    with decoding.opened(path_or_file) as (_, recording):
        return AudioInfo(recording.sample_rate, recording.num_channels, recording.num_samples, recording.encoding)

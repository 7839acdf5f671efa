"""Read audio files of any format, sample rate and channel count as float32 waveforms.

Full scale is [-1, 1]. Files with floating-point samples may exceed it, and so may decoded MP3, Ogg and AAC. Such
samples are not clipped, because clipping would add distortion.
"""

import math
from typing import NamedTuple

import numpy as np

from common.audio import decoding
from common.audio.sources import AudioSource
from common.audio.waveform import resample
from common.errors import UserError

# Channels cancel each other out if their mean has less than this fraction of their average energy.
_CANCELLED_ENERGY = 0.01


class AudioInfo(NamedTuple):
    """Format and length of an audio file."""

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

    Only the excerpt is decoded. A wrong length in the header is ignored. A warning reports how much is missing or
    cannot be decoded.

    Args:
        path_or_file: A path, or a binary file object (standard input is `sys.stdin.buffer`).
        sample_rate: Rate in Hz to resample to; None keeps the rate of the file.
        mono: Whether to mix all channels into one, see `to_mono`.
        start: Start of the excerpt in seconds.
        duration: Length of the excerpt in seconds; None or NaN reads to the end. The excerpt is shorter if the file
            ends before.

    Returns:
        The waveform, shape `(samples,)`, or `(samples, channels)` if `mono` is False, and its rate in Hz.

    Raises:
        UserError: The file is missing, a folder, empty, without samples, not audio, or its rate is out of range.
        UserError: The excerpt begins after the end of the file.
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
    """Check decoded samples, and convert their channels and sample rate.

    Args:
        name: The file, for messages.
        waveform: Shape `(samples, channels)`, already cut to the excerpt.
        file_rate: Sample rate of the waveform in Hz.
        sample_rate: Rate in Hz to resample to; None keeps the rate of the file.
        mono: Whether to mix all channels into one, see `to_mono`.
        start: Start of the excerpt in seconds, for messages.

    Returns:
        The waveform and its rate, as `read`.

    Raises:
        UserError: There are no samples, or a sample is NaN or infinite.
    """
    if not len(waveform):
        raise no_samples(name, start)
    if not np.isfinite(waveform).all():
        raise UserError(f"{name} contains NaN or infinite samples; expected finite samples: export the file again")
    if mono:
        waveform = to_mono(waveform, name)
    if sample_rate is None:
        return waveform, file_rate
    return resample(waveform, file_rate, sample_rate), sample_rate


def no_samples(name: str, start: float = 0.0) -> UserError:
    """Return the error for a recording without samples, or without samples from `start` seconds on."""
    where = f" at {start} s or later" if start else ""
    return UserError(f"{name} has no samples{where}; expected at least one: record it again or leave it out")


def check_excerpt(start: float, duration: float | None) -> float | None:
    """Return the length of an excerpt in seconds, or None for an excerpt to the end.

    Raises:
        UserError: `start` is negative, or `duration` is not positive.
    """
    if start < 0 or (duration is not None and duration <= 0):
        raise UserError(f"an excerpt starts at 0 s or later and lasts more than 0 s; received {start} and {duration}")
    return None if duration is None or math.isnan(duration) else duration


def to_mono(waveform: np.ndarray, name: str = "") -> np.ndarray:
    """Mix all channels into their mean, or use a single channel where they cancel each other out.

    A cable with swapped poles inverts one channel; the mean is then silent or nearly so.

    Args:
        waveform: Shape `(samples, channels)`.
        name: The recording, for the warning; an empty name turns the warning off.

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
        decoding.warn(name, "its channels cancel each other out; one channel is used instead of their mean")
    # The first loud channel: others may be silent.
    return waveform[:, int(np.argmax(energies >= energies.max() / 2))]


def info(path_or_file: AudioSource) -> AudioInfo:
    """Return sample rate, channels, length and encoding of an audio file.

    The length is that of the samples in the file, not that in the header. Formats without an exact length, such as M4A,
    are decoded to count the samples.

    Raises:
        UserError: The file is missing, a folder, empty, or not readable audio.
    """
    with decoding.opened(path_or_file) as (_, recording):
        return AudioInfo(recording.sample_rate, recording.num_channels, recording.num_samples, recording.encoding)

"""Write audio files block by block and atomically."""

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from common import files
from common.errors import UserError
from common.log import logger

_FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")
_FORMATS = {"AIF": "AIFF", "OGA": "OGG", "OPUS": "OGG"}
_BLOCK_VALUES = 2**20


@contextlib.contextmanager
def opened(
    path: str | os.PathLike, sample_rate: int, num_channels: int, subtype: str | None = None
) -> Iterator[Callable[[np.ndarray], None]]:
    """Open an audio file for writing; it appears when the `with` block ends without an error.

    Samples beyond [-1, 1] are clipped unless the encoding is floating point. A warning at the end reports their number.

    Args:
        path: For example `voice.wav`, `voice.flac`, `voice.ogg`, `voice.mp3`: the suffix chooses the format.
        sample_rate: In Hz.
        num_channels: Channels of every block.
        subtype: Encoding as soundfile names it, for example `PCM_16`, `PCM_24` or `FLOAT`; None uses the default of the
            format (16 bits for WAV and FLAC).

    Yields:
        A function that writes a block, shape `(samples,)` or `(samples, channels)`, full scale [-1, 1].

    Raises:
        UserError: A block has NaN or infinite samples.
        UserError: The format is unknown, or does not support the subtype, rate or channel count.
        UserError: The folder cannot be written to.
    """
    format_name, subtype = format_of(path, subtype)
    clipped = _Clipped()

    def described(error: Exception) -> str:
        return f"cannot write {path} as {format_name} {subtype}, {sample_rate} Hz, {num_channels} channels: {error}"

    @contextlib.contextmanager
    def explained() -> Iterator[None]:
        try:
            yield
        except soundfile.LibsndfileError as error:
            # The message of libsndfile for a full or read-only disk.
            if error.error_string == "System error.":
                raise UserError(
                    f"cannot write {path}: the disk is full or read-only; check the folder and the free space"
                ) from error
            raise UserError(described(error)) from error
        except (ValueError, TypeError, OverflowError) as error:
            raise UserError(described(error)) from error

    def write_block(waveform: np.ndarray) -> None:
        waveform = np.asarray(waveform, np.float32)
        if not np.isfinite(waveform).all():
            raise UserError(
                f"cannot write {path}: the waveform contains NaN or infinite samples; expected finite samples"
            )
        if subtype not in _FLOAT_SUBTYPES:
            waveform = clipped.clip(waveform)
        with explained():
            # libsndfile's Vorbis encoder puts all samples of a call on the stack and crashes on long blocks.
            for part in np.array_split(waveform, max(1, -(-waveform.size // _BLOCK_VALUES))):
                file.write(part)

    with files.atomic_path(path) as temporary:
        with explained():
            # As bytes: soundfile cannot write names that are not UTF-8 otherwise.
            file = soundfile.SoundFile(
                os.fsencode(temporary), "w", sample_rate, num_channels, subtype, format=format_name
            )
        try:
            yield write_block
        finally:
            with explained():
                file.close()
    clipped.warn(path)


def write(path: str | os.PathLike, waveform: np.ndarray, sample_rate: int, subtype: str | None = None) -> None:
    """Write a waveform to a file, atomically; the suffix chooses the format.

    Samples beyond [-1, 1] are clipped unless the encoding is floating point. A warning reports their number.

    Args:
        path: For example `voice.wav`, `voice.flac`, `voice.ogg`, `voice.mp3`.
        waveform: Shape `(samples,)` or `(samples, channels)`, full scale [-1, 1].
        sample_rate: In Hz.
        subtype: Encoding as soundfile names it, for example `PCM_16`, `PCM_24` or `FLOAT`; None uses the default of the
            format (16 bits for WAV and FLAC).

    Raises:
        UserError: The waveform is empty or has NaN or infinite samples.
        UserError: The format is unknown, or does not support the subtype, rate or channel count.
        UserError: The folder cannot be written to.
    """
    waveform = np.asarray(waveform, np.float32)
    if waveform.ndim not in (1, 2) or not waveform.size:
        raise UserError(f"cannot write {path}: expected (samples,) or (samples, channels), received {waveform.shape}")
    num_channels = 1 if waveform.ndim == 1 else waveform.shape[1]
    with opened(path, sample_rate, num_channels, subtype) as write_block:
        write_block(waveform)


def format_of(path: str | os.PathLike, subtype: str | None = None) -> tuple[str, str]:
    """Return the format for a path's suffix, and its encoding, as soundfile names them.

    Raises:
        UserError: The suffix is not that of an audio format, or the format does not support the encoding.
    """
    suffix = Path(path).suffix[1:].upper()
    format_name = _FORMATS.get(suffix, suffix)
    if format_name not in soundfile.available_formats() or format_name == "RAW":
        raise UserError(
            f"cannot write {path}: the suffix is not that of an audio format; use .wav, .flac, .ogg or .mp3"
        )
    subtype = subtype or ("OPUS" if suffix == "OPUS" else soundfile.default_subtype(format_name))
    if not soundfile.check_format(format_name, subtype):
        known = ", ".join(soundfile.available_subtypes(format_name))
        raise UserError(f"cannot write {path} as {format_name} {subtype}; {format_name} supports {known}")
    return format_name, subtype


class _Clipped:
    """Counts the samples beyond full scale."""

    def __init__(self):
        self.count = self.total = 0
        self.peak = 0.0

    def clip(self, waveform: np.ndarray) -> np.ndarray:
        self.total += waveform.size
        self.count += int((np.abs(waveform) > 1).sum())
        self.peak = max(self.peak, float(np.abs(waveform).max(initial=0.0)))
        return np.clip(waveform, -1, 1)

    def warn(self, path: str | os.PathLike) -> None:
        if self.count:
            logger.warning(
                "%s: %d of %d samples exceed full scale (peak %+.1f dB) and are clipped; lower the level or use FLOAT",
                path,
                self.count,
                self.total,
                20 * math.log10(self.peak),
            )

"""Decode FLAC, MP3 and Ogg Vorbis in the TensorFlow graph with tensorflow-io (extra `tfio`).

The newest tensorflow-io, 0.37.1, has kernels for TensorFlow 2.16 only. The waveforms match those of
`common.audio.read`: FLAC exactly, Ogg and MP3 to 1e-5. So a model predicts the same with either decoder.

tensorflow-io does not validate its input: an empty Ogg file aborts the process, and a FLAC header with a huge sample
count makes it allocate that much memory. `decode` rejects both before they reach tensorflow-io.
"""

import functools
import math
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from common import audio
from common.audio import containers

SUFFIXES = (".flac", ".mp3", ".ogg", ".oga")

# FLAC stores at most about 300 samples per byte, for digital silence.
_MOST_SAMPLES_PER_BYTE = 1000
_MP3_RATES = (44100, 48000, 32000)
_MP3_RATE_DIVISORS = (4, 0, 2, 1)  # By version: 2.5, reserved, 2, 1.
_MP3_SEARCHED_BYTES = 65536


@functools.cache
def available() -> bool:
    """Whether tensorflow-io is installed and its kernels fit this TensorFlow."""
    try:
        import tensorflow_io

        tensorflow_io.audio.decode_mp3(b"no audio")
    except tf.errors.OpError:
        return True  # The kernel ran: it reports that this is not an MP3.
    except (ImportError, NotImplementedError):
        return False
    return True


def decode(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode the contents of a FLAC, MP3 or Ogg Vorbis file; for use inside `tf.data` as well.

    Args:
        contents: Scalar string, the whole file; its first bytes determine the format.

    Returns:
        The waveform, float32 of shape `(samples, channels)`, full scale [-1, 1], and its rate in Hz, scalar int64.

    Raises:
        tf.errors.InvalidArgumentError: The contents are empty, damaged, or of another format.

    Example:
        >>> dataset = tf.data.Dataset.list_files("music/*.flac")  # doctest: +SKIP
        >>> dataset = dataset.map(lambda path: decode(tf.io.read_file(path)))  # doctest: +SKIP
    """
    contents = tf.ensure_shape(tf.convert_to_tensor(contents), [])
    magic = tf.strings.substr(contents, 0, 4)
    waveform, rate = tf.switch_case(
        tf.where(magic == b"fLaC", 0, tf.where(magic == b"OggS", 1, 2)),
        [lambda: _decode_flac(contents), lambda: _decode_vorbis(contents), lambda: _decode_mp3(contents)],
    )
    return tf.ensure_shape(waveform, [None, None]), rate


def read(
    path: str | os.PathLike, sample_rate: int | None = None, start: float = 0.0, duration: float | None = None
) -> tuple[np.ndarray, int]:
    """Read a file like `common.audio.read` in mono, with tensorflow-io where possible.

    Other files go to `common.audio.read`: WAV, Opus, 20-bit FLAC, and files with a wrong header
    (`common.audio.containers`). It also raises the errors for unreadable files.

    Args:
        path: The file.
        sample_rate: Rate in Hz to resample to; None keeps the rate of the file.
        start: Start of the excerpt in seconds.
        duration: Length of the excerpt in seconds; None or NaN reads to the end.

    Returns:
        The waveform, shape `(samples,)`, and its rate in Hz.

    Raises:
        UserError: As `common.audio.read`.
    """
    if Path(path).suffix.lower() in SUFFIXES and available() and _is_sound(path):
        try:
            decoded, file_rate = _decode_file(tf.constant(os.fsencode(path)))
        except tf.errors.OpError:
            return audio.read(path, sample_rate, start=start, duration=duration)
        rate = int(file_rate)
        first = round(start * rate)
        length = len(decoded) if duration is None or math.isnan(duration) else max(1, round(duration * rate))
        excerpt = decoded.numpy()[first : first + length]
        return audio.conform(os.fspath(path), excerpt, rate, sample_rate, mono=True, start=start)
    return audio.read(path, sample_rate, start=start, duration=duration)


def _is_sound(path: str | os.PathLike) -> bool:
    """Whether a file is a single stream with a correct header."""
    try:
        with open(path, "rb") as file:
            parts = containers.examine(file)
            return len(parts) == 1 and parts[0].is_file(file.seek(0, os.SEEK_END))
    except OSError:
        return False


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def _decode_file(path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return decode(tf.io.read_file(path))


def _decode_flac(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    import tensorflow_io

    # STREAMINFO: 20 bits of rate from byte 18, 3 of channels, 5 of depth, 36 of the number of samples.
    rate = _number(contents, 18, 3) // 2**4
    depth = _number(contents, 20, 2) // 2**4 % 2**5 + 1
    num_samples = _number(contents, 21, 5) % 2**36
    most_samples = tf.cast(tf.strings.length(contents), tf.int64) * _MOST_SAMPLES_PER_BYTE
    plausible = (num_samples > 0) & (num_samples <= most_samples)
    check = tf.debugging.Assert(plausible, ["FLAC of unknown or impossible length", num_samples])
    # In eager mode the check raises immediately and returns None.
    with tf.control_dependencies([] if check is None else [check]):
        contents = tf.identity(contents)

    def decoded(dtype: tf.DType) -> tf.Tensor:
        return tf.cast(tensorflow_io.audio.decode_flac(contents, dtype=dtype), tf.float32)

    # tensorflow-io returns 8 bits as unsigned, and 24 bits as the upper bits of 32, which float32 represents exactly.
    waveform = tf.switch_case(
        tf.where(depth == 8, 0, tf.where(depth == 16, 1, 2)),
        [
            lambda: decoded(tf.uint8) / 2.0**7 - 1.0,
            lambda: decoded(tf.int16) / 2.0**15,
            lambda: decoded(tf.int32) / 2.0**31,
        ],
    )
    return waveform, rate


def _decode_vorbis(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    import tensorflow_io

    # An Ogg page has a header of 27 bytes, the last of which is the length of the table that follows; then comes the
    # packet, with the sample rate at byte 12.
    num_segments = tf.cast(_number(contents, 26, 1), tf.int32)
    rate = _number(contents, 27 + num_segments + 12, 4, little_endian=True)
    return tensorflow_io.audio.decode_vorbis(contents), rate


def _decode_mp3(contents: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    import tensorflow_io

    # An ID3 tag stores its length in four digits to the base 128.
    tag_bytes = 10 + _number(contents, 6, 4, base=128)
    first = tf.where(tf.strings.substr(contents, 0, 3) == b"ID3", tag_bytes, 0)
    searched = tf.cast(tf.io.decode_raw(tf.strings.substr(contents, first, _MP3_SEARCHED_BYTES), tf.uint8), tf.int32)
    sync, flags, rates = searched[:-2], searched[1:-1], searched[2:]
    version, layer = flags // 8 % 4, flags // 2 % 4
    bitrate, rate_index = rates // 16, rates // 4 % 4
    is_frame = (sync == 255) & (flags >= 224) & (version != 1) & (layer == 1)
    is_frame &= (bitrate > 0) & (bitrate < 15) & (rate_index < 3)
    tf.debugging.Assert(tf.reduce_any(is_frame), ["no MP3 frame"])
    frame = tf.argmax(tf.cast(is_frame, tf.int32))
    rate = tf.gather(_MP3_RATES, rate_index[frame]) // tf.gather(_MP3_RATE_DIVISORS, version[frame])
    return tensorflow_io.audio.decode_mp3(contents), tf.cast(rate, tf.int64)


def _number(
    contents: tf.Tensor, first: int | tf.Tensor, num_bytes: int, base: int = 256, little_endian: bool = False
) -> tf.Tensor:
    """Decode an int64 from `num_bytes` bytes at `first`; too short contents raise InvalidArgumentError."""
    digits = tf.cast(tf.io.decode_raw(tf.strings.substr(contents, first, num_bytes), tf.uint8), tf.int64)
    powers = [base**power for power in range(num_bytes)]
    weights = tf.constant(powers if little_endian else powers[::-1], tf.int64)
    return tf.reduce_sum(tf.ensure_shape(digits, [num_bytes]) * weights)

"""Read recordings of any length as a stream of blocks; memory depends on the block, not on the recording."""

import os
from collections.abc import Iterable, Iterator

import numpy as np

from common import audio
from common.audio import decoding, memory
from common.audio import waveform as waveforms
from common.errors import UserError

# Limits of one decoder call, which has a fixed cost: shorter blocks are cut from one call, longer ones are joined from
# several.
_SHORTEST_READ_SECONDS, _LONGEST_READ_SECONDS = 0.1, 10.0
# Length of the segments that are checked for channels that cancel each other out.
_MIXED_SECONDS = 0.5


def blocks(
    path_or_file: audio.AudioSource,
    sample_rate: int,
    block_seconds: float = 10.0,
    mono: bool = True,
    start: float = 0.0,
    duration: float | None = None,
) -> Iterator[np.ndarray]:
    """Read an audio file in blocks, as float32 waveforms at the given sample rate.

    The concatenated blocks equal `audio.read(path_or_file, sample_rate, mono, start, duration)`. The resampler keeps
    its state between blocks, so there are no clicks. One difference: channels that cancel each other out
    (`audio.to_mono`) are checked for every half second. A file object that cannot seek, such as a pipe on standard
    input, is first copied to a temporary file in `TMPDIR`. Other files are read in place.

    Args:
        path_or_file: A path, or a binary file object (standard input is `sys.stdin.buffer`).
        sample_rate: Rate in Hz to resample to.
        block_seconds: Length of a block in seconds.
        mono: Whether to average the channels into one.
        start: Start of the excerpt in seconds.
        duration: Length of the excerpt in seconds; None reads to the end.

    Yields:
        Blocks of shape `(samples,)`, or `(samples, channels)` if `mono` is False, with `block_seconds * sample_rate`
        samples, rounded. The last block may be shorter but is never empty.

    Raises:
        UserError: As `audio.read`, when the first block is requested. NaN and infinite samples raise when their block
            is reached.
        UserError: `block_seconds` is shorter than one sample, or standard input cannot be copied.

    Example:
        >>> import io, soundfile
        >>> file = io.BytesIO()
        >>> soundfile.write(file, np.zeros(20000), 8000, format="WAV")
        >>> _ = file.seek(0)
        >>> [block.shape for block in blocks(file, 16000, block_seconds=1.0)]
        [(16000,), (16000,), (8000,)]
    """
    block_samples = round(block_seconds * sample_rate)
    if block_samples < 1:
        raise UserError(
            f"a block of {block_seconds} s at {sample_rate} Hz has no samples; expected at least one: use longer blocks"
        )
    length = audio.check_excerpt(start, duration)
    with decoding.opened(path_or_file) as (name, recording):
        first = round(start * recording.sample_rate)
        wanted = None if length is None else max(1, round(length * recording.sample_rate))
        read_seconds = min(max(block_seconds, _SHORTEST_READ_SECONDS), _LONGEST_READ_SECONDS)
        pieces = _resampled(name, recording, sample_rate, read_seconds, mono, first, wanted)
        num_blocks = 0
        for block in _cut(pieces, block_samples):
            yield block
            num_blocks += 1
        if not num_blocks:
            raise audio.no_samples(name, start)


def source_blocks(
    source: audio.AudioSource | np.ndarray,
    sample_rate: int,
    source_rate: int | None = None,
    block_seconds: float = 10.0,
) -> Iterator[np.ndarray]:
    """Read a file or a waveform in memory in blocks: mono, float32, at the given sample rate.

    Args:
        source: A path, a binary file object, or a waveform `(samples,)` or `(samples, channels)`, float in [-1, 1] or
            int16.
        sample_rate: Rate in Hz to resample to.
        source_rate: Sample rate of a waveform in memory in Hz; None means `sample_rate`. Leave it out for files.
        block_seconds: Length of a block in seconds.

    Returns:
        The blocks, as `blocks` yields them.

    Raises:
        UserError: The waveform or its rate cannot be used, or a rate is given for a file.
        UserError: For files, as `blocks`.

    Example:
        >>> [len(block) for block in source_blocks(np.zeros((12000, 2)), 16000, 8000)]
        [24000]
    """
    if not isinstance(source, np.ndarray):
        if not (isinstance(source, str | os.PathLike) or hasattr(source, "read")):
            raise UserError(f"expected a path, a binary file or a NumPy waveform, got {type(source).__name__}")
        if source_rate is not None:
            raise UserError("sample_rate is only for waveforms in memory, a file has its own; leave it out")
        return blocks(source, sample_rate, block_seconds)
    recording = memory.Waveform(source, sample_rate if source_rate is None else source_rate)
    pieces = _resampled("the waveform", recording, sample_rate, _LONGEST_READ_SECONDS, True, 0, None)
    return _cut(pieces, round(block_seconds * sample_rate))


def windows(
    blocks: Iterable[np.ndarray], window_samples: int, hop_samples: int, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut a stream of blocks into overlapping windows that cover every sample, in batches for a model.

    The last window ends at the end of the recording, so its hop may be shorter. Only a recording shorter than one
    window is padded with silence. A batch never spans two blocks, so a live stream is processed without waiting for the
    next block. At most a block, two windows and a batch are kept in memory.

    Args:
        blocks: Consecutive waveforms of shape `(samples,)` and any length.
        window_samples: Length of a window.
        hop_samples: Hop between windows in samples, at most `window_samples`.
        batch_size: Largest number of windows in a batch.

    Yields:
        The first sample of each window, int64 of shape `(batch,)`, and the windows, float32 of shape
        `(batch, window_samples)`.

    Raises:
        ValueError: The windows would skip samples, a batch would be empty, or a block has channels.

    Example:
        >>> for starts, waveforms in windows([np.arange(3), np.arange(3, 5)], 4, hop_samples=2, batch_size=8):
        ...     print(starts, waveforms)
        [0] [[0. 1. 2. 3.]]
        [1] [[1. 2. 3. 4.]]
    """
    if not 1 <= hop_samples <= window_samples:
        raise ValueError(f"expected a hop of 1 to {window_samples} samples, the window; received {hop_samples}")
    if batch_size < 1:
        raise ValueError(f"expected at least one window in a batch; received {batch_size}")
    for start, part in _parts(blocks, window_samples, hop_samples):
        cut = np.lib.stride_tricks.sliding_window_view(part, window_samples)[::hop_samples]
        for first in range(0, len(cut), batch_size):
            batch = cut[first : first + batch_size].astype(np.float32)
            yield start + hop_samples * np.arange(first, first + len(batch)), batch


def _resampled(
    name: str,
    recording: decoding.Recording,
    sample_rate: int,
    read_seconds: float,
    mono: bool,
    first: int,
    wanted: int | None,
) -> Iterator[np.ndarray]:
    """Yield the recording in pieces of any length, checked and resampled."""
    file_rate = recording.sample_rate
    num_channels = 1 if mono else recording.num_channels
    resampler = waveforms.resampler(file_rate, sample_rate, num_channels)
    read_values = min(decoding.BLOCK_VALUES, round(read_seconds * file_rate) * recording.num_channels)
    num_read = num_yielded = 0
    blocks = recording.blocks(first, wanted, read_values)
    if num_channels < recording.num_channels:
        blocks = _cut(blocks, max(1, round(_MIXED_SECONDS * file_rate)))
    for block in blocks:
        waveform, _ = audio.conform(name, block, file_rate, None, mono)
        num_read += len(waveform)
        if file_rate != sample_rate:
            waveform = resampler.resample_chunk(waveform)
        num_yielded += len(waveform)
        yield waveform
    if num_read and file_rate != sample_rate:
        rest = resampler.resample_chunk(waveform[:0], last=True)
        # The length that `audio.resample` gives.
        yield audio.fit_length(rest, -(-num_read * sample_rate // file_rate) - num_yielded)


def _cut(pieces: Iterator[np.ndarray], block_samples: int) -> Iterator[np.ndarray]:
    """Join pieces of any lengths and cut them into blocks; the last may be shorter."""
    pending, num_pending = [], 0
    for piece in pieces:
        pending.append(piece)
        num_pending += len(piece)
        if num_pending >= block_samples:
            joined = np.concatenate(pending)
            num_pending %= block_samples
            pending = [joined[len(joined) - num_pending :]]
            for start in range(0, len(joined) - num_pending, block_samples):
                yield joined[start : start + block_samples]
    if num_pending:
        yield np.concatenate(pending)


def _parts(blocks: Iterable[np.ndarray], window_samples: int, hop_samples: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each segment to cut new windows from, with the index of its first sample."""
    pending, before, start = np.empty(0, np.float32), np.empty(0, np.float32), 0
    for block in blocks:
        if block.ndim != 1:
            raise ValueError(f"expected blocks of shape (samples,), received {block.shape}; read with mono=True")
        pending = np.concatenate([pending, block])
        num_windows = max(0, 1 + (len(pending) - window_samples) // hop_samples)
        if num_windows:
            yield start, pending
            done = num_windows * hop_samples
            before, pending, start = pending[done - hop_samples : done], pending[done:], start + done
    if not start:
        if len(pending):
            yield start, np.pad(pending, (0, window_samples - len(pending)))
    elif len(pending) > window_samples - hop_samples:
        # The last window ends at the end of the recording: padding with silence would change the input.
        rest = np.concatenate([before, pending])[-window_samples:]
        yield start + len(pending) - window_samples, rest

"""Recordings of any length as a stream of waveforms: memory follows the block, not the recording."""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from common import audio
from common.audio import decoding
from common.errors import UserError

# Of what is decoded at once: shorter blocks are cut from it, for a call to the decoder has a cost of its own.
_SHORTEST_READ_SECONDS = 0.1
# Whether channels cancel each other out is decided for so long at a time.
_MIXED_SECONDS = 0.5


def blocks(
    path_or_file: audio.AudioSource,
    sample_rate: int,
    block_seconds: float = 10.0,
    mono: bool = True,
    start: float = 0.0,
    duration: float | None = None,
) -> Iterator[np.ndarray]:
    """Read an audio file block after block, as float32 waveforms at the wanted rate.

    One after the other the blocks are what `audio.read(path_or_file, sample_rate, mono, start, duration)` returns: the resampler goes
    on from block to block, so they join without a click; but whether channels cancel each other out (`audio.to_mono`) is
    decided anew every half second. A file object that cannot seek, such as a pipe on standard input, is first copied to a
    temporary file, whose folder `TMPDIR` chooses; one that can is read where it is.

    Args:
        path_or_file: A path, or a binary file object (standard input is `sys.stdin.buffer`).
        sample_rate: Rate in Hz to resample to.
        block_seconds: Length of a block in seconds.
        mono: Whether to average the channels into one.
        start: Where to begin, in seconds.
        duration: How much to read, in seconds; None reads to the end.

    Yields:
        Blocks of shape `(samples,)`, or `(samples, channels)` if `mono` is False, with `block_seconds * sample_rate`
        samples, rounded; the last may be shorter but is never empty.

    Raises:
        UserError: As `audio.read`, when the first block is asked for; for a sample that is NaN or infinite, when
            its turn comes.
        UserError: A block has no sample, or standard input cannot be copied.

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
            f"a block of {block_seconds} s at {sample_rate} Hz has no samples; expected at least one: make it longer"
        )
    length = audio.check_excerpt(start, duration)
    with decoding.opened(path_or_file) as (name, recording):
        first = round(start * recording.sample_rate)
        wanted = None if length is None else max(1, round(length * recording.sample_rate))
        read_seconds = max(block_seconds, _SHORTEST_READ_SECONDS)
        pieces = _resampled(name, recording, sample_rate, read_seconds, mono, first, wanted)
        num_blocks = 0
        for block in _cut(pieces, block_samples):
            yield block
            num_blocks += 1
        if not num_blocks:
            raise audio.no_samples(name, start)


def check_hop(hop_seconds: float, window_seconds: float) -> None:
    """Refuse windows that would leave samples out.

    Raises:
        UserError: The hop is longer than the window.
    """
    if hop_seconds > window_seconds:
        raise UserError(
            f"--hop_seconds: expected at most the model's clip of {window_seconds:g} s, got {hop_seconds:g}"
        )


def windows(
    blocks: Iterable[np.ndarray], window_samples: int, hop_samples: int, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut a stream of blocks into overlapping windows that cover every sample, in batches for a model.

    The last window ends with the recording, so it may be nearer to the one before than others are. Silence follows only
    where the whole recording is shorter than a window. Of a recording no more is kept than a block, two windows and a
    batch.

    Args:
        blocks: Waveforms of shape `(samples,)`, of any lengths, that follow each other.
        window_samples: Length of a window.
        hop_samples: From the start of a window to the start of the next, at most `window_samples`.
        batch_size: Number of windows in a batch; the last batch may have fewer.

    Yields:
        The first sample of each window, int64 of shape `(batch,)`, and the windows, float32 of shape
        `(batch, window_samples)`.

    Raises:
        ValueError: The windows would leave samples out, a batch would be empty, or a block has channels.

    Example:
        >>> [(starts, waveforms)] = windows([np.arange(3), np.arange(3, 5)], 4, hop_samples=2, batch_size=8)
        >>> starts
        array([0, 1])
        >>> waveforms
        array([[0., 1., 2., 3.],
               [1., 2., 3., 4.]], dtype=float32)
    """
    if not 1 <= hop_samples <= window_samples:
        raise ValueError(f"expected a hop of 1 to {window_samples} samples, the window; received {hop_samples}")
    if batch_size < 1:
        raise ValueError(f"expected at least one window in a batch; received {batch_size}")
    starts = []
    for start, window in _windows(blocks, window_samples, hop_samples):
        if not starts:
            waveforms = np.zeros((batch_size, window_samples), np.float32)
        waveforms[len(starts), : len(window)] = window
        starts.append(start)
        if len(starts) == batch_size:
            yield np.array(starts, np.int64), waveforms
            starts = []
    if starts:
        yield np.array(starts, np.int64), waveforms[: len(starts)]


def _resampled(
    name: str,
    recording: decoding.Recording,
    sample_rate: int,
    read_seconds: float,
    mono: bool,
    first: int,
    wanted: int | None,
) -> Iterator[np.ndarray]:
    """Yield what the file holds, checked and at the wanted rate, in pieces of any length."""
    file_rate = recording.sample_rate
    num_channels = 1 if mono else recording.num_channels
    resampler = soxr.ResampleStream(file_rate, sample_rate, num_channels, dtype="float32", quality="HQ")
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
            for start in range(0, num_pending - block_samples + 1, block_samples):
                yield joined[start : start + block_samples]
            num_pending %= block_samples
            pending = [joined[len(joined) - num_pending :]]
    if num_pending:
        yield np.concatenate(pending)


def _windows(blocks: Iterable[np.ndarray], window_samples: int, hop_samples: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first sample of each window and the window; the last may be shorter."""
    pending, window, start = np.empty(0, np.float32), np.empty(0, np.float32), 0
    for block in blocks:
        if block.ndim != 1:
            raise ValueError(f"expected blocks of shape (samples,), received {block.shape}; read with mono=True")
        pending = np.concatenate([pending, block])
        while len(pending) >= window_samples:
            window = pending[:window_samples]
            yield start, window
            pending, start = pending[hop_samples:], start + hop_samples
    if not start:
        if len(pending):
            yield start, pending
    elif len(pending) > window_samples - hop_samples:
        # The last window ends where the recording does: filled up with silence, it would be another recording's.
        rest = np.concatenate([window, pending[window_samples - hop_samples :]])
        yield start - hop_samples + len(rest) - window_samples, rest[-window_samples:]

"""Detect memorisation: generated excerpts that are copies of training recordings.

Mel spectrograms are compared, not embeddings: the texture embedding ignores which notes are played, and a copy with a
little noise or another gain would look new.
"""

from collections.abc import Sequence

import numpy as np
import scipy.fft
import scipy.ndimage

from common.errors import UserError

# Halves of excerpts, and segments of recordings, that are compared at once.
_BLOCK_PIECES = 64
# Values further below the maximum of a spectrogram are background noise.
_RANGE_DB = 80.0
# Changes slower than this fraction of an excerpt (0.5 s of 6 s) or faster than three frames are filtered out. The slow
# ones are similar in all music; the fast ones differ between a copy and the same copy shifted by half a frame.
_SLOW_FRACTION = 1 / 12
_SMOOTH_FRAMES = 3
# RMS in dB that is added to the energies, so that a constant spectrogram correlates with nothing.
_STILL_DB = 0.1
# An excerpt is a copy if its distance is below this fraction of the median distance of held-out excerpts. Measured on
# 14 tracks of GTZAN, relative to that median: copies, also at -8 dB, with noise 15 dB below them, or half new, 0.01 to
# 0.58; other tracks 0.86 or more, blurred ones 0.68 or more, smooth or white random fields 0.94 or more.
_COPY_FRACTION = 0.63


def nearest_distances(generated: np.ndarray, training: Sequence[np.ndarray]) -> np.ndarray:
    """Compute the distance of each generated excerpt to the nearest segment of a training recording.

    Both halves of an excerpt are cross-correlated with every training recording, and the largest correlation is used.
    The moving average of each band and the mean over all bands are subtracted first, so that gain, equalisation and a
    common envelope have no effect, and noise has little. A copy is found at any position in a recording, and if only
    half of the excerpt is a copy, but not at another speed or pitch.

    Args:
        generated: Mel spectrograms in dB, shape `(excerpts, frames, bands)`.
        training: Mel spectrograms of all training data in dB, each `(frames, bands)` and at least half as long as an
            excerpt: whole recordings, or an array of consecutive excerpts. Overlapping excerpts only take more time.

    Returns:
        1 minus the largest correlation, shape `(excerpts,)`: 0 for a copy, up to 0.5 for a noisy copy, 0.6 to 0.9 for
        other music, about 1 for noise.

    Raises:
        UserError: A shape is wrong, a recording is too short, or a value is not finite.
    """
    generated, training = _checked_spectrograms("generated", generated), _checked_spectrograms("training", training)
    num_frames, num_bands = generated[0].shape
    piece_frames, segment_frames = num_frames // 2, min(2 * num_frames, *map(len, training))
    if {recording.shape[1] for recording in training} != {num_bands} or segment_frames < piece_frames:
        raise UserError(
            f"training recordings have shapes from {min(x.shape for x in training)} to "
            f"{max(x.shape for x in training)}; expected at least {piece_frames} frames, half an excerpt, and "
            f"{num_bands} bands"
        )
    slow_frames = max(2, round(_SLOW_FRACTION * num_frames))
    excerpts = [_local_changes(excerpt, slow_frames) for excerpt in generated]
    halves = np.stack([half for excerpt in excerpts for half in (excerpt[:piece_frames], excerpt[-piece_frames:])])
    segments = [
        segment
        for recording in training
        for segment in _segments(_local_changes(recording, slow_frames), segment_frames, piece_frames)
    ]
    best = np.full(len(halves), -1.0)
    for start in range(0, len(segments), _BLOCK_PIECES):
        block = np.stack(segments[start : start + _BLOCK_PIECES])
        for first in range(0, len(halves), _BLOCK_PIECES):
            pieces = slice(first, first + _BLOCK_PIECES)
            best[pieces] = np.maximum(best[pieces], _largest_correlations(halves[pieces], block))
    return 1 - best.reshape(-1, 2).max(axis=1)


def share_of_copies(nearest: np.ndarray, held_out_nearest: np.ndarray) -> float:
    """Return the fraction of generated excerpts that are copies of training recordings; it should be 0.

    An excerpt is a copy if its nearest distance is below 0.63 times the median of held-out excerpts. Blurred, noisy or
    poor excerpts are not copies, unless they are made from a training recording. Held-out recordings that share a riff
    or a loop with the training recordings lower the threshold.

    Args:
        nearest: `nearest_distances` of generated excerpts.
        held_out_nearest: `nearest_distances` of excerpts of the same length, from recordings that are not trained on.
    """
    return float((nearest < _COPY_FRACTION * np.median(held_out_nearest)).mean())


def _checked_spectrograms(name: str, spectrograms: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the spectrograms as float32, after a check of shapes and values."""
    spectrograms = [np.asarray(spectrogram, np.float32) for spectrogram in spectrograms]
    if not spectrograms:
        raise UserError(f"received no {name} spectrograms; expected at least one")
    for spectrogram in spectrograms:
        if spectrogram.ndim != 2 or len(spectrogram) < 2 or not spectrogram.shape[1]:
            raise UserError(
                f"a {name} spectrogram has shape {spectrogram.shape}; expected (frames, bands) with at least 2 frames"
            )
        if not np.isfinite(spectrogram).all():
            raise UserError(f"{name} spectrograms contain NaN or infinite values; expected finite decibels")
    return spectrograms


def _local_changes(spectrogram: np.ndarray, slow_frames: int) -> np.ndarray:
    """Band-pass filter each band over time, and subtract the mean of all bands."""
    spectrogram = np.maximum(spectrogram, spectrogram.max() - _RANGE_DB)
    changes = spectrogram - scipy.ndimage.uniform_filter1d(spectrogram, slow_frames, axis=0, mode="nearest")
    changes -= changes.mean(axis=1, keepdims=True)
    return scipy.ndimage.uniform_filter1d(changes, _SMOOTH_FRAMES, axis=0, mode="nearest")


def _segments(recording: np.ndarray, length: int, piece_frames: int) -> list[np.ndarray]:
    """Split a recording into segments that overlap so much that each piece of `piece_frames` is inside one segment."""
    last = len(recording) - length
    starts = [*range(0, last, length - piece_frames + 1), last]
    return [recording[start : start + length] for start in starts]


def _largest_correlations(pieces: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """Return the largest normalised cross-correlation of each piece with any segment, shape `(pieces,)`.

    Args:
        pieces: Shape `(pieces, frames, bands)`.
        segments: Shape `(segments, more frames, bands)`.
    """
    num_frames, num_offsets = pieces.shape[1], segments.shape[1] - pieces.shape[1] + 1
    length = scipy.fft.next_fast_len(segments.shape[1], real=True)
    piece_spectra, segment_spectra = (np.swapaxes(scipy.fft.rfft(x, length, axis=1), 0, 1) for x in (pieces, segments))
    products = piece_spectra.conj() @ np.swapaxes(segment_spectra, 1, 2)
    # Shape (offsets, pieces, segments), without the offsets at which a piece would wrap around.
    sums = scipy.fft.irfft(products, length, axis=0)[:num_offsets]
    cumulative = np.pad(np.square(segments, dtype=np.float64).sum(axis=2).cumsum(axis=1), ((0, 0), (1, 0)))
    window_energies = cumulative[:, num_frames:] - cumulative[:, :-num_frames]
    floor = _STILL_DB**2 * pieces[0].size
    piece_energies = np.square(pieces).sum(axis=(1, 2))
    scale = np.sqrt((piece_energies[:, None] + floor) * (window_energies.T[:, None] + floor))
    return (sums / scale).max(axis=(0, 2))

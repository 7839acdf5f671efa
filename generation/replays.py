"""Whether a generator replays what it heard in training.

Mel spectrograms are compared, not embeddings: one of texture forgets which notes were played, and takes a replay with a
little noise, or at another gain, for something new.
"""

from collections.abc import Sequence

import numpy as np
import scipy.fft
import scipy.ndimage

from common.errors import UserError

# As many halves of excerpts, and stretches of recordings, are compared at a time.
_BLOCK_PIECES = 64
# Values further below the loudest of a spectrogram are the recording's own noise.
_RANGE_DB = 80.0
# What is slower than this share of an excerpt, 0.5 s of 6 s, is taken away before excerpts are compared, and what is faster
# than three frames: the former is alike in all music, the latter differs between a copy and its shift by half a frame.
_SLOW_SHARE = 1 / 12
_SMOOTH_FRAMES = 3
# dB RMS of a spectrogram in which nothing moves, so that it resembles nothing.
_STILL_DB = 0.1
# Share of the usual distance of held-out excerpts below which an excerpt is a copy. Measured on 14 tracks of GTZAN, in
# shares of it: copies, also at -8 dB, with noise 15 dB below them, or half new, 0.01 to 0.58; other tracks 0.86 and more,
# blurred ones 0.68 and more, smooth or white random fields 0.94 and more.
_COPY_SHARE = 0.63


def nearest_distances(generated: np.ndarray, training: Sequence[np.ndarray]) -> np.ndarray:
    """Measure how near each generated excerpt comes to anything that training heard.

    Both halves of an excerpt are moved along every training recording, and the largest correlation counts. Compared are
    decibels less each band's moving average and less the mean of all bands: neither gain nor equalisation nor an envelope
    that all bands share count, and noise counts little. A replay is found wherever in a recording it begins, and if only
    half of the excerpt is one; at another speed or pitch it is not.

    Args:
        generated: Mel spectrograms in dB, shape `(excerpts, frames, bands)`.
        training: All that training hears, mel spectrograms in dB of shape `(frames, bands)` each, half as long as an
            excerpt or longer: whole recordings, or an array of excerpts that follow each other. Overlapping ones only
            take more time.

    Returns:
        1 less the largest correlation, shape `(excerpts,)`: 0 for a copy, up to 0.5 for a noisy one, 0.6 to 0.9 for
        other music, about 1 for noise.

    Raises:
        UserError: Shapes are not as stated, a recording is too short, or a value is not finite.
    """
    generated, training = _checked_spectrograms("generated", generated), _checked_spectrograms("training", training)
    num_frames, num_bands = generated[0].shape
    piece_frames, stretch_frames = num_frames // 2, min(2 * num_frames, *map(len, training))
    if {recording.shape[1] for recording in training} != {num_bands} or stretch_frames < piece_frames:
        raise UserError(
            f"training recordings have shapes from {min(x.shape for x in training)} to {max(x.shape for x in training)}; "
            f"expected {piece_frames} frames, half an excerpt, or more, and {num_bands} bands"
        )
    slow_frames = max(2, round(_SLOW_SHARE * num_frames))
    excerpts = [_local_changes(excerpt, slow_frames) for excerpt in generated]
    halves = np.stack([half for excerpt in excerpts for half in (excerpt[:piece_frames], excerpt[-piece_frames:])])
    stretches = [
        stretch
        for recording in training
        for stretch in _stretches(_local_changes(recording, slow_frames), stretch_frames, piece_frames)
    ]
    best = np.full(len(halves), -1.0)
    for start in range(0, len(stretches), _BLOCK_PIECES):
        block = np.stack(stretches[start : start + _BLOCK_PIECES])
        for first in range(0, len(halves), _BLOCK_PIECES):
            pieces = slice(first, first + _BLOCK_PIECES)
            best[pieces] = np.maximum(best[pieces], _largest_correlations(halves[pieces], block))
    return 1 - best.reshape(-1, 2).max(axis=1)


def share_of_copies(nearest: np.ndarray, held_out_nearest: np.ndarray) -> float:
    """Return the share of generated excerpts that are copies of what training heard; a generator passes with 0.

    A copy is an excerpt whose nearest distance is below 0.63 of the median of held-out excerpts, which training did not
    hear. Blurred, noisy and poor excerpts are no copies, unless of a training recording. Held-out recordings that share
    a riff or a loop with training lower the bar for generated ones too.

    Args:
        nearest: `nearest_distances` of generated excerpts.
        held_out_nearest: Those of excerpts as long, of recordings that training did not hear.
    """
    return float((nearest < _COPY_SHARE * np.median(held_out_nearest)).mean())


def _checked_spectrograms(name: str, spectrograms: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return them as float32, each of shape `(frames, bands)`, or refuse what cannot be compared."""
    spectrograms = [np.asarray(spectrogram, np.float32) for spectrogram in spectrograms]
    if not spectrograms:
        raise UserError(f"received no {name} spectrograms; expected at least one")
    for spectrogram in spectrograms:
        if spectrogram.ndim != 2 or len(spectrogram) < 2 or not spectrogram.shape[1]:
            raise UserError(
                f"a {name} spectrogram has shape {spectrogram.shape}; expected (frames, bands), 2 frames or more"
            )
        if not np.isfinite(spectrogram).all():
            raise UserError(f"{name} spectrograms contain NaN or infinite values; expected finite decibels")
    return spectrograms


def _local_changes(spectrogram: np.ndarray, slow_frames: int) -> np.ndarray:
    """Return what sets an excerpt apart: without each band's slow and fastest changes, and those that all bands share."""
    spectrogram = np.maximum(spectrogram, spectrogram.max() - _RANGE_DB)
    changes = spectrogram - scipy.ndimage.uniform_filter1d(spectrogram, slow_frames, axis=0, mode="nearest")
    changes -= changes.mean(axis=1, keepdims=True)
    return scipy.ndimage.uniform_filter1d(changes, _SMOOTH_FRAMES, axis=0, mode="nearest")


def _stretches(recording: np.ndarray, length: int, piece_frames: int) -> list[np.ndarray]:
    """Cut a recording so that each piece of it is whole in one stretch; the last stretch ends with the recording."""
    last = len(recording) - length
    starts = [*range(0, last, length - piece_frames + 1), last]
    return [recording[start : start + length] for start in starts]


def _largest_correlations(pieces: np.ndarray, stretches: np.ndarray) -> np.ndarray:
    """Return each piece's largest correlation with as much of any stretch, shape `(pieces,)`.

    Args:
        pieces: Shape `(pieces, frames, bands)`.
        stretches: Shape `(stretches, more frames, bands)`.
    """
    num_frames, num_offsets = pieces.shape[1], stretches.shape[1] - pieces.shape[1] + 1
    length = scipy.fft.next_fast_len(stretches.shape[1], real=True)
    of_pieces, of_stretches = (np.swapaxes(scipy.fft.rfft(x, length, axis=1), 0, 1) for x in (pieces, stretches))
    products = of_pieces.conj() @ np.swapaxes(of_stretches, 1, 2)
    # Shape (offsets, pieces, stretches); offsets at which a piece would wrap around the end are left out.
    sums = scipy.fft.irfft(products, length, axis=0)[:num_offsets]
    energies = np.pad(np.square(stretches, dtype=np.float64).sum(axis=2).cumsum(axis=1), ((0, 0), (1, 0)))
    of_windows = energies[:, num_frames:] - energies[:, :-num_frames]
    still = _STILL_DB**2 * pieces[0].size
    own = np.square(pieces).sum(axis=(1, 2))
    return (sums / np.sqrt((own[:, None] + still) * (of_windows.T[:, None] + still))).max(axis=(0, 2))

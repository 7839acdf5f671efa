"""Metrics of source separation: BSSEval v4, SDR of frames and of tracks, scale-invariant SDR.

BSSEval is implemented here because no package offers version 4 in the form needed. museval, which gives the same
values, cannot be imported without the ffmpeg programs. fast-bss-eval cannot compute frame-wise metrics with filters of
the whole track in NumPy. mir_eval implements version 3.

Every function takes references and estimates of shape `(sources, samples, channels)` in any real type and computes in
float64. Estimate i is compared with reference i; no permutation is searched.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.linalg

from common.errors import UserError

# Longest delay of BSSEval's distortion filters, in samples, whatever the rate: 12 ms at 44.1 kHz.
FILTER_LENGTH = 512
# Added to both energies, as in the campaigns that report uSDR.
_USDR_DELTA = 1e-7
# Correlations are summed over blocks of this many samples, so that memory does not grow with the track.
_BLOCK_SAMPLES = 2**15
# Reciprocal condition number below which rounding alone changes ratios by 0.01 dB or more.
_SMALLEST_CONDITION = 1e-15
# Added to the diagonal of such a system; equivalent to white noise 100 dB below each reference.
_REGULARISATION = 1e-10
# Relative energy that rounding leaves of a constant signal after its mean is removed.
_ROUNDING = 1e-24


class BssEval(NamedTuple):
    """The four ratios of BSSEval in dB, each of shape `(sources, frames)`, or `(sources,)` after `median`.

    Attributes:
        sdr: Source-to-distortion ratio: the whole error.
        isr: Source-image-to-spatial-distortion ratio: the error that a filtered version of the same source explains.
        sir: Source-to-interference ratio: the error that filtered versions of the other sources explain.
        sar: Sources-to-artifacts ratio: the error that no filtered source explains.
    """

    sdr: np.ndarray
    isr: np.ndarray
    sir: np.ndarray
    sar: np.ndarray

    def median(self) -> "BssEval":
        """Return the median over frames of each source, as in SiSEC 2018; see `frame_median`."""
        return BssEval(*map(frame_median, self))


def bss_eval(
    references: np.ndarray,
    estimates: np.ndarray,
    window: int,
    hop: int | None = None,
    filter_length: int = FILTER_LENGTH,
) -> BssEval:
    """Compute BSSEval version 4: frame-wise SDR, ISR, SIR and SAR with distortion filters of the whole track.

    Each estimate is projected onto its reference, and onto all references, where every channel is delayed by 0 to
    `filter_length - 1` samples. The filters are the least-squares solution for the whole track. They are applied to
    each frame separately, as if the signal around it were zero, and energies are summed over all channels.

    A frame in which any reference or any estimate is all zero is NaN for every source. A source that is silent
    throughout therefore makes all frames NaN; remove it first. museval rejects such a track. It also treats a frame as
    silent if its channels cancel out exactly; this function does not.

    If references are linearly dependent (copied channels, ideal band limits, pure tones), the filters are not unique,
    and the result of museval depends on rounding. Here such a system is regularised. ISR, SIR and SAR are still
    unreliable for sources without any energy in some band, because the filters are arbitrary there and show at the
    edges of frames; 16-bit sources have enough energy.

    Most of the time is spent on one linear system of `sources * channels * filter_length` unknowns.

    Args:
        references: True sources, shape `(sources, samples, channels)`, at least two sources.
        estimates: Estimated sources in the same order, same shape.
        window: Length of a frame in samples; the sample rate for the usual 1 s.
        hop: Hop between frames in samples. Defaults to `window`.
        filter_length: Length of the distortion filters in samples.

    Returns:
        Ratios in dB, shape `(sources, frames)`. An incomplete last frame is dropped, but a signal shorter than a frame
        is one frame. If an estimate equals its reference, SDR is infinite and the others, limited by rounding, exceed
        100 dB unless references are linearly dependent.

    Raises:
        UserError: A shape is wrong, a sample is not finite, there is only one source, or a length is below 1.

    Source:
        Vincent, Gribonval and Févotte, "Performance Measurement in Blind Audio Source Separation", 2006; Stöter,
        Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", 2018 (museval).
    """
    references, estimates = _checked(references, estimates)
    frames = _frames(references.shape[1], window, hop)
    num_sources, _, num_channels = references.shape
    if num_sources < 2:
        raise UserError("references: got one source, expected at least two; use sdr for a single source")
    if filter_length < 1:
        raise UserError(f"filter_length: expected at least 1, got {filter_length}")
    ratios = np.full((4, num_sources, len(frames)), np.nan)
    audible = [index for index, frame in enumerate(frames) if not _any_silent(references, estimates, frame)]
    if not audible:
        return BssEval(*ratios)
    own_filters, all_filters = _projection_filters(references, estimates, filter_length)
    frame_samples = frames[0].stop - frames[0].start
    padded_samples = frame_samples + filter_length - 1
    fft_length = scipy.fft.next_fast_len(padded_samples, real=True)
    own_response, all_response = (
        scipy.fft.rfft(filters, fft_length, axis=-1) for filters in (own_filters, all_filters)
    )
    for index in audible:
        reference, estimate = (_channels_first(signals, frames[index]) for signals in (references, estimates))
        spectra = scipy.fft.rfft(reference, fft_length, axis=-1)
        of_source = spectra.reshape(num_sources, num_channels, -1)
        own = scipy.fft.irfft(np.einsum("scb,sdcb->sdb", of_source, own_response), fft_length)
        everything = scipy.fft.irfft(np.einsum("rb,erb->eb", spectra, all_response), fft_length)
        # The filtered signals are longer than the frame; pad the others with zeros.
        true, guess = (np.pad(signal, ((0, 0), (0, filter_length - 1))) for signal in (reference, estimate))
        own, everything = own.reshape(true.shape[0], -1)[:, :padded_samples], everything[:, :padded_samples]

        def energy(signal: np.ndarray) -> np.ndarray:
            return np.square(signal).reshape(num_sources, -1).sum(axis=1)

        ratios[:, :, index] = (
            _decibels(energy(true), energy(true - guess)),
            _decibels(energy(true), energy(own - true)),
            _decibels(energy(own), energy(everything - own)),
            _decibels(energy(everything), energy(guess - everything)),
        )
    return BssEval(*ratios)


def sdr(references: np.ndarray, estimates: np.ndarray, window: int, hop: int | None = None) -> np.ndarray:
    """Compute only the frame-wise SDR of BSSEval v4; it needs no filters, so it is cheap enough for validation.

    In version 4 the SDR of a frame is `10 log10(sum s^2 / sum (s - ŝ)^2)` over its samples and channels. Frames and
    silence are handled as in `bss_eval`: a frame is NaN for all sources if any reference or estimate is all zero there.
    A single source is allowed.

    Args:
        references: True sources, shape `(sources, samples, channels)`.
        estimates: Estimated sources, same shape.
        window: Length of a frame in samples; the sample rate for the usual 1 s.
        hop: Hop between frames in samples. Defaults to `window`.

    Returns:
        dB, shape `(sources, frames)`; infinite where an estimate equals its reference. Use `frame_median` for a track.

    Raises:
        UserError: A shape is wrong, a sample is not finite, or a length is below 1.

    Source:
        Stöter, Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", 2018.

    Example:
        >>> references = np.ones((1, 4, 2))
        >>> sdr(references, 0.9 * references, window=2).round(6)
        array([[20., 20.]])
    """
    references, estimates = _checked(references, estimates)
    frames = _frames(references.shape[1], window, hop)
    ratios = np.full((references.shape[0], len(frames)), np.nan)
    for index, frame in enumerate(frames):
        if not _any_silent(references, estimates, frame):
            true, guess = (signals[:, frame].astype(np.float64) for signals in (references, estimates))
            ratios[:, index] = _decibels(np.square(true).sum(axis=(1, 2)), np.square(true - guess).sum(axis=(1, 2)))
    return ratios


def frame_median(frames: np.ndarray) -> np.ndarray:
    """Return the median over frames, ignoring NaN.

    Args:
        frames: Shape `(sources, frames)`.

    Returns:
        Shape `(sources,)`; NaN if all frames of a source are NaN.

    Example:
        >>> frame_median(np.array([[1.0, np.nan, 4.0, 2.0], [np.nan] * 4]))
        array([ 2., nan])
    """
    medians = np.full(len(frames), np.nan)
    known = ~np.isnan(frames).all(axis=1)
    medians[known] = np.nanmedian(frames[known], axis=1)
    return medians


def usdr(references: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """Compute the SDR of whole tracks (uSDR, "utterance-level" SDR), the metric of the Music Demixing Challenge.

    `10 log10((sum s^2 + 1e-7) / (sum (s - ŝ)^2 + 1e-7))` over all samples and channels; full scale is 1. The constant
    keeps it finite: it is 0 dB if both reference and estimate are silent.

    Args:
        references: True sources, shape `(sources, samples, channels)`.
        estimates: Estimated sources, same shape.

    Returns:
        dB, shape `(sources,)`, always finite.

    Raises:
        UserError: A shape is wrong, or a sample is not finite.

    Source:
        Mitsufuji et al., "Music Demixing Challenge 2021", 2022.

    Example:
        >>> usdr(np.ones((1, 4, 2)), np.full((1, 4, 2), 0.9)).round(4)
        array([20.])
    """
    references, estimates = _checked(references, estimates)
    ratios = np.empty(len(references))
    for index, (true, guess) in enumerate(zip(references, estimates, strict=True)):
        true = true.astype(np.float64)
        ratios[index] = _decibels(np.square(true).sum() + _USDR_DELTA, np.square(true - guess).sum() + _USDR_DELTA)
    return ratios


def si_sdr(references: np.ndarray, estimates: np.ndarray, zero_mean: bool = True) -> np.ndarray:
    """Compute the scale-invariant SDR of whole tracks.

    The ratio of a channel is `10 log10(sum (a s)^2 / sum (a s - ŝ)^2)` with `a = sum s ŝ / sum s^2`. The result is the
    mean in dB over the channels whose reference is not silent. Channels are scaled independently, so a wrong balance
    between them has no effect.

    Args:
        references: True sources, shape `(sources, samples, channels)`.
        estimates: Estimated sources, same shape.
        zero_mean: Whether to remove the mean over time of each channel first, from reference and estimate, so that an
            offset has no effect; the paper assumes zero-mean signals.

    Returns:
        dB, shape `(sources,)`. NaN if the reference is silent in every channel; minus infinity if the estimate contains
        nothing of the reference, e.g. if it is silent; infinite, or above 200 dB due to rounding, if the estimate is a
        scaled reference.

    Raises:
        UserError: A shape is wrong, or a sample is not finite.

    Source:
        Le Roux, Wisdom, Erdogan and Hershey, "SDR - Half-Baked or Well Done?", 2019.

    Example:
        >>> reference = np.array([[[1.0], [1.0], [-1.0], [-1.0]]])
        >>> noise = np.array([[[0.1], [-0.1], [0.1], [-0.1]]])
        >>> si_sdr(reference, 3 * (reference + noise)).round(6)
        array([20.])
    """
    references, estimates = _checked(references, estimates)
    ratios = np.full(len(references), np.nan)
    for index, signals in enumerate(zip(references, estimates, strict=True)):
        true, guess = (signal.astype(np.float64) for signal in signals)
        if zero_mean:
            true, guess = _without_mean(true), _without_mean(guess)
        energy = np.square(true).sum(axis=0)
        audible = energy > 0
        if audible.any():
            true, guess = true[:, audible], guess[:, audible]
            target = true * ((true * guess).sum(axis=0) / energy[audible])
            ratios[index] = _decibels(np.square(target).sum(axis=0), np.square(target - guess).sum(axis=0)).mean()
    return ratios


def _checked(references: np.ndarray, estimates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays, after a check of shapes and values.

    Infinite and NaN samples are an error: they would give NaN ratios, which medians ignore, and hide a broken model.
    """
    references, estimates = np.asarray(references), np.asarray(estimates)
    for name, signals in (("references", references), ("estimates", estimates)):
        if signals.ndim != 3 or not signals.size:
            raise UserError(f"{name} have shape {signals.shape}; expected (sources, samples, channels), all at least 1")
    if references.shape != estimates.shape:
        raise UserError(
            f"references have shape {references.shape}, estimates {estimates.shape}; "
            "expected the same number of sources, samples and channels: cut or pad the estimates"
        )
    for name, signals in (("references", references), ("estimates", estimates)):
        # The sum is finite if all samples are, and needs no temporary array of the size of the track.
        with np.errstate(invalid="ignore"):
            finite = np.isfinite(signals.sum(dtype=np.float64))
        if not finite:
            raise UserError(f"{name} contain NaN or infinite samples; expected finite ones")
    return references, estimates


def _frames(num_samples: int, window: int, hop: int | None) -> list[slice]:
    """Return the slice of each frame; all frames have the same length."""
    hop = window if hop is None else hop
    if window < 1 or hop < 1:
        raise UserError(f"window and hop: expected at least 1 sample each, got {window} and {hop}")
    if num_samples <= window:
        return [slice(0, num_samples)]
    return [slice(start, start + window) for start in range(0, num_samples - window + 1, hop)]


def _any_silent(references: np.ndarray, estimates: np.ndarray, frame: slice) -> bool:
    return not all(signals[:, frame].any(axis=(1, 2)).all() for signals in (references, estimates))


def _channels_first(signals: np.ndarray, frame: slice) -> np.ndarray:
    """Return a frame as float64 `(sources * channels, samples)`; the channels of a source are consecutive rows."""
    excerpt = np.moveaxis(signals[:, frame], 2, 1)
    return excerpt.reshape(-1, excerpt.shape[-1]).astype(np.float64)


def _correlations(references: np.ndarray, estimates: np.ndarray, num_lags: int) -> np.ndarray:
    """Correlate each channel of the references with every channel, over the whole track.

    Returns:
        `sum_n x_i[n] y_j[n + lag]` at `[i, j, lag]`, shape `(channels, 2 * channels, num_lags)` with the channels of
        all sources. x are the channels of the references; y are the channels of the references, then of the estimates.
    """
    fft_length = scipy.fft.next_fast_len(max(_BLOCK_SAMPLES, 4 * num_lags), real=True)
    block = fft_length - (num_lags - 1)
    num_references = references.shape[0] * references.shape[2]
    spectrum = np.zeros((num_references, 2 * num_references, fft_length // 2 + 1), np.complex128)
    for start in range(0, references.shape[1], block):
        extended = slice(start, start + fft_length)
        signals = np.concatenate([_channels_first(signals, extended) for signals in (references, estimates)])
        # The block plus the longest lag fit into the FFT, so nothing wraps around.
        first = scipy.fft.rfft(signals[:num_references, :block], fft_length, axis=-1).conj()
        second = scipy.fft.rfft(signals, fft_length, axis=-1)
        for index in range(num_references):
            spectrum[index] += first[index] * second
    return scipy.fft.irfft(spectrum, fft_length)[..., :num_lags]


def _projection_filters(
    references: np.ndarray, estimates: np.ndarray, filter_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the filters that project each estimate onto its own reference, and onto all references.

    Returns:
        Filters for the own reference, shape `(sources, channels of the estimate, channels of the reference, delays)`,
        and for all references, shape `(all channels of estimates, all channels of references, delays)`.
    """
    num_sources, _, num_channels = references.shape
    total, size = num_sources * num_channels, num_channels * filter_length
    correlations = _correlations(references, estimates, filter_length)
    # Normalise the channels to unit energy, so that a quiet channel does not look linearly dependent. A silent channel
    # would make the system singular; it gets a 1 on the diagonal, because its filters are zero.
    energies = np.diagonal(correlations[..., 0]).copy()
    silent = np.flatnonzero(energies <= 0)
    energies[silent] = 1
    correlations[silent, silent, 0] = 1
    scales = 1 / np.sqrt(energies)
    correlations[:, :total] *= scales[:, None, None] * scales[:, None]
    correlations[:, total:] *= scales[:, None, None]
    gram = np.empty((total, filter_length, total, filter_length))
    for row in range(total):
        for column in range(total):
            gram[row, :, column] = scipy.linalg.toeplitz(correlations[row, column], correlations[column, row])
    gram = gram.reshape(total * filter_length, -1)
    products = correlations[:, total:].transpose(0, 2, 1).reshape(total * filter_length, total)
    all_filters = _solve(gram, products).T.reshape(total, total, filter_length) * scales[:, None]
    own_filters = np.empty((num_sources, num_channels, num_channels, filter_length))
    for source in range(num_sources):
        rows = slice(source * size, (source + 1) * size)
        channels = slice(source * num_channels, (source + 1) * num_channels)
        filters = _solve(gram[rows, rows], products[rows, channels])
        own_filters[source] = filters.T.reshape(own_filters[source].shape) * scales[channels, None]
    return own_filters, all_filters


def _solve(gram: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Solve the normal equations, a symmetric system with ones on the diagonal, by LU as museval does.

    Cholesky is twice as fast, but fails for band-limited sources, because rounding makes the matrix indefinite.
    """
    # The matrix is symmetric; its transpose has the column-major order that LAPACK expects.
    factors, pivots, info = scipy.linalg.lapack.dgetrf(gram.T)
    if info == 0:
        condition, _ = scipy.linalg.lapack.dgecon(factors, scipy.linalg.lapack.dlange("1", gram.T))
        if condition > _SMALLEST_CONDITION:
            return scipy.linalg.lapack.dgetrs(factors, pivots, products)[0]
    return scipy.linalg.solve(gram + _REGULARISATION * np.eye(len(gram)), products, assume_a="pos")


def _without_mean(signal: np.ndarray) -> np.ndarray:
    """Remove the mean over time of each channel `(samples, channels)`; a constant channel becomes exactly 0."""
    centred = signal - signal.mean(axis=0)
    constant = np.square(centred).sum(axis=0) <= _ROUNDING * np.square(signal).sum(axis=0)
    return np.where(constant, 0.0, centred)


def _decibels(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return ratios of energies in dB: minus infinity if the numerator is 0, else infinity if the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(numerator == 0, -np.inf, 10 * np.log10(np.asarray(numerator) / denominator))

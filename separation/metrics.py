"""Figures of source separation: BSSEval v4, SDR by frames and by track, scale-invariant SDR.

BSSEval is written here because no package offers version 4 as it is needed: museval, whose figures these are, refuses
to be imported where ffmpeg's programs are missing; fast-bss-eval has no evaluation by frames with filters of the whole
track in NumPy; mir_eval implements version 3.

Every function takes references and estimates of shape `(sources, samples, channels)` in any real type and calculates
in float64. Estimate i is held against reference i: no permutation is sought.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.linalg

from common.errors import UserError

# Longest delay of BSSEval's distortion filters, in samples, whatever the rate: 12 ms at 44.1 kHz.
FILTER_LENGTH = 512
# What the campaigns that report uSDR add to both energies.
_USDR_DELTA = 1e-7
# Correlations are summed over blocks of this many samples: memory does not grow with the track.
_BLOCK_SAMPLES = 2**15
# Reciprocal condition number of a system below which rounding alone moves ratios by 0.01 dB and more.
_SMALLEST_CONDITION = 1e-15
# What is then added to the diagonal: as if every reference had white noise, 100 dB below it.
_REGULARISATION = 1e-10
# Energy, as a share of what it was, that rounding leaves of a constant after its mean is taken away.
_ROUNDING = 1e-24


class BssEval(NamedTuple):
    """The four ratios of BSSEval in dB, each of shape `(sources, frames)`, or `(sources,)` after `median`.

    Attributes:
        sdr: Source to distortion: all that is wrong with the estimate.
        isr: Source image to spatial distortion: what a filter of the source itself explains of the error.
        sir: Source to interference: what filters of the other sources add.
        sar: Sources to artifacts: what no filter of any source explains.
    """

    sdr: np.ndarray
    isr: np.ndarray
    sir: np.ndarray
    sar: np.ndarray

    def median(self) -> "BssEval":
        """Return each source's median over frames, as SiSEC 2018 reports a track (`frame_median`)."""
        return BssEval(*map(frame_median, self))


def bss_eval(
    references: np.ndarray,
    estimates: np.ndarray,
    window: int,
    hop: int | None = None,
    filter_length: int = FILTER_LENGTH,
) -> BssEval:
    """Compute BSSEval version 4: SDR, ISR, SIR and SAR by frames, with distortion filters of the whole track.

    Each estimate is projected onto its reference, and onto all references, each channel of them delayed by 0 to
    `filter_length - 1` samples. The filters are least-squares over the whole track; then they are applied to each frame
    by itself, its surroundings being silent, and energies are summed over all channels.

    A frame in which any reference or any estimate is all zero is NaN for every source, so a source that is silent
    throughout makes all of them NaN: leave it out before. museval refuses such a track; it also calls a frame silent
    whose channels cancel each other exactly, which counts here.

    Where references determine each other (one channel a copy of another, ideal band limits, pure tones), the filters
    are not unique, and what museval answers depends on its rounding. Here such a system is regularised. Of sources
    without any energy in some band (16-bit ones have enough) ISR, SIR and SAR still say little: what the filters do
    there is heard at the edges of frames.

    Time goes mostly into one linear system of `sources * channels * filter_length` unknowns.

    Args:
        references: True sources, shape `(sources, samples, channels)`, at least two sources.
        estimates: Their estimates in the same order, same shape.
        window: Length of a frame in samples: the sample rate for the usual 1 s.
        hop: Samples from one frame to the next; None means `window`.
        filter_length: Delays of the distortion filters.

    Returns:
        Ratios in dB, shape `(sources, frames)`. A last frame that would be incomplete is left out, but a signal shorter
        than a frame is one frame. Of an estimate that equals its reference SDR is infinite and the others, which
        rounding limits, exceed 100 dB unless references determine each other.

    Raises:
        UserError: Shapes are not as stated, a sample is not finite, there is one source, or a length is below 1.

    Source:
        Vincent, Gribonval and Févotte, "Performance Measurement in Blind Audio Source Separation", 2006; Stöter,
        Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", 2018 (museval).
    """
    references, estimates = _checked(references, estimates)
    frames = _frames(references.shape[1], window, hop)
    num_sources, _, num_channels = references.shape
    if num_sources < 2:
        raise UserError("BSSEval received one source; expected at least two: use sdr, which needs no interference")
    if filter_length < 1:
        raise UserError(f"BSSEval received filters of {filter_length} samples; expected at least 1")
    ratios = np.full((4, num_sources, len(frames)), np.nan)
    audible = [index for index, frame in enumerate(frames) if not _any_silent(references, estimates, frame)]
    if not audible:
        return BssEval(*ratios)
    on_own, on_all = _projection_filters(references, estimates, filter_length)
    frame_samples = frames[0].stop - frames[0].start
    padded_samples = frame_samples + filter_length - 1
    fft_length = scipy.fft.next_fast_len(padded_samples, real=True)
    own_response, all_response = (scipy.fft.rfft(filters, fft_length, axis=-1) for filters in (on_own, on_all))
    for index in audible:
        reference, estimate = (_channels_first(signals, frames[index]) for signals in (references, estimates))
        spectra = scipy.fft.rfft(reference, fft_length, axis=-1)
        of_source = spectra.reshape(num_sources, num_channels, -1)
        own = scipy.fft.irfft(np.einsum("scb,sdcb->sdb", of_source, own_response), fft_length)
        everything = scipy.fft.irfft(np.einsum("rb,erb->eb", spectra, all_response), fft_length)
        # The filters ring on after the frame; what is compared is silent there.
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
    """Compute BSSEval v4's SDR by frames, and nothing else: it needs no filters, so it is cheap enough for validation.

    In version 4 the SDR of a frame is `10 log10(sum s^2 / sum (s - ŝ)^2)` over its samples and channels. Frames and
    silence are those of `bss_eval`: a frame is NaN for all sources where one of those given, or its estimate, is all
    zero. One source alone is welcome, and then only its own silence counts.

    Args:
        references: True sources, shape `(sources, samples, channels)`.
        estimates: Their estimates, same shape.
        window: Length of a frame in samples: the sample rate for the usual 1 s.
        hop: Samples from one frame to the next; None means `window`.

    Returns:
        dB, shape `(sources, frames)`; infinite where an estimate equals its reference. `frame_median` sums up a track.

    Raises:
        UserError: Shapes are not as stated, a sample is not finite, or a length is below 1.

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
    """Return the median over frames without those that are NaN.

    Args:
        frames: Shape `(sources, frames)`.

    Returns:
        Shape `(sources,)`; NaN where every frame is.

    Example:
        >>> frame_median(np.array([[1.0, np.nan, 4.0, 2.0], [np.nan] * 4]))
        array([ 2., nan])
    """
    medians = np.full(len(frames), np.nan)
    known = ~np.isnan(frames).all(axis=1)
    medians[known] = np.nanmedian(frames[known], axis=1)
    return medians


def usdr(references: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """Compute the SDR of whole tracks, as the Music Demixing Challenge ranks by: uSDR, "utterance-level" SDR.

    `10 log10((sum s^2 + 1e-7) / (sum (s - ŝ)^2 + 1e-7))` over all samples and channels; full scale is 1. The constant
    keeps it finite: of silence that is separated as silence it is 0 dB.

    Args:
        references: True sources, shape `(sources, samples, channels)`.
        estimates: Their estimates, same shape.

    Returns:
        dB, shape `(sources,)`, always finite.

    Raises:
        UserError: Shapes are not as stated, or a sample is not finite.

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

    Of each channel by itself, `10 log10(sum (a s)^2 / sum (a s - ŝ)^2)` with `a = sum s ŝ / sum s^2`; then the mean of
    the channels' dB. Channels whose reference is silent are left out of that mean. Channels are scaled independently:
    a wrong balance between them costs nothing.

    Args:
        references: True sources, shape `(sources, samples, channels)`.
        estimates: Their estimates, same shape.
        zero_mean: Whether to take away each channel's mean over time first, from reference and estimate, so that an
            offset costs nothing; the paper assumes signals without mean.

    Returns:
        dB, shape `(sources,)`. NaN if the reference is silent in every channel; minus infinity if nothing of it is in
        an estimate, as in silence; infinite, or beyond 200 dB by rounding, if the estimate is the reference scaled.

    Raises:
        UserError: Shapes are not as stated, or a sample is not finite.

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
    """Return both as arrays, or refuse what cannot be compared.

    Infinite and NaN samples are refused: they would end as NaN, which medians leave out, and hide a broken model.
    """
    references, estimates = np.asarray(references), np.asarray(estimates)
    for name, signals in (("references", references), ("estimates", estimates)):
        if signals.ndim != 3 or not signals.size:
            raise UserError(f"{name} have shape {signals.shape}; expected (sources, samples, channels), none of them 0")
    if references.shape != estimates.shape:
        raise UserError(
            f"references have shape {references.shape}, estimates {estimates.shape}; "
            "expected the same number of sources, samples and channels: cut or pad the estimates"
        )
    for name, signals in (("references", references), ("estimates", estimates)):
        # A sum is finite if all its terms are, and needs no second array as large as the track.
        with np.errstate(invalid="ignore"):
            finite = np.isfinite(signals.sum(dtype=np.float64))
        if not finite:
            raise UserError(f"{name} contain NaN or infinite samples; expected finite ones")
    return references, estimates


def _frames(num_samples: int, window: int, hop: int | None) -> list[slice]:
    """Return the samples of each frame; all frames are equally long."""
    hop = window if hop is None else hop
    if window < 1 or hop < 1:
        raise UserError(f"frames of {window} samples every {hop} samples; expected at least 1 of each")
    if num_samples <= window:
        return [slice(0, num_samples)]
    return [slice(start, start + window) for start in range(0, num_samples - window + 1, hop)]


def _any_silent(references: np.ndarray, estimates: np.ndarray, frame: slice) -> bool:
    return not all(signals[:, frame].any(axis=(1, 2)).all() for signals in (references, estimates))


def _channels_first(signals: np.ndarray, frame: slice) -> np.ndarray:
    """Return an excerpt as float64 of shape `(sources * channels, samples)`, the channels of a source in succession."""
    excerpt = np.moveaxis(signals[:, frame], 2, 1)
    return excerpt.reshape(-1, excerpt.shape[-1]).astype(np.float64)


def _correlations(references: np.ndarray, estimates: np.ndarray, num_lags: int) -> np.ndarray:
    """Correlate each channel of the references with every channel, over the whole track.

    Returns:
        `sum_n x_i[n] y_j[n + lag]` at `[i, j, lag]`, where x are the channels of the references and y those of the
        references, then those of the estimates; shape `(channels, 2 * channels, num_lags)` over all sources.
    """
    fft_length = scipy.fft.next_fast_len(max(_BLOCK_SAMPLES, 4 * num_lags), real=True)
    block = fft_length - (num_lags - 1)
    num_references = references.shape[0] * references.shape[2]
    spectrum = np.zeros((num_references, 2 * num_references, fft_length // 2 + 1), np.complex128)
    for start in range(0, references.shape[1], block):
        extended = slice(start, start + fft_length)
        signals = np.concatenate([_channels_first(signals, extended) for signals in (references, estimates)])
        # No product wraps around: the block and its longest lag fit into the transform.
        first = scipy.fft.rfft(signals[:num_references, :block], fft_length, axis=-1).conj()
        second = scipy.fft.rfft(signals, fft_length, axis=-1)
        for index in range(num_references):
            spectrum[index] += first[index] * second
    return scipy.fft.irfft(spectrum, fft_length)[..., :num_lags]


def _projection_filters(
    references: np.ndarray, estimates: np.ndarray, filter_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the filters that project each estimate onto its own reference, and onto all references.

    Returns:
        Filters onto its own reference, shape `(sources, channels of the estimate, channels of the reference, delays)`,
        and onto all, shape `(all channels of estimates, all channels of references, delays)`.
    """
    num_sources, _, num_channels = references.shape
    total, size = num_sources * num_channels, num_channels * filter_length
    correlations = _correlations(references, estimates, filter_length)
    # Channels are brought to unit energy, so that a quiet one does not pass for one that depends on others. A silent
    # one would make the system singular; any equation will do for it, since its filters are zero.
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
    on_all = _solve(gram, products).T.reshape(total, total, filter_length) * scales[:, None]
    on_own = np.empty((num_sources, num_channels, num_channels, filter_length))
    for source in range(num_sources):
        rows = slice(source * size, (source + 1) * size)
        channels = slice(source * num_channels, (source + 1) * num_channels)
        filters = _solve(gram[rows, rows], products[rows, channels])
        on_own[source] = filters.T.reshape(on_own[source].shape) * scales[channels, None]
    return on_own, on_all


def _solve(gram: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Solve the normal equations, a symmetric system with ones in the diagonal, by LU as museval does.

    Not by Cholesky, which is twice as quick but fails of band-limited sources: rounding leaves the matrix indefinite.
    """
    # The transpose is the same matrix in the order of columns that LAPACK wants.
    factors, pivots, info = scipy.linalg.lapack.dgetrf(gram.T)
    if info == 0:
        condition, _ = scipy.linalg.lapack.dgecon(factors, scipy.linalg.lapack.dlange("1", gram.T))
        if condition > _SMALLEST_CONDITION:
            return scipy.linalg.lapack.dgetrs(factors, pivots, products)[0]
    return scipy.linalg.solve(gram + _REGULARISATION * np.eye(len(gram)), products, assume_a="pos")


def _without_mean(signal: np.ndarray) -> np.ndarray:
    """Take away each channel's mean over time, shape `(samples, channels)`; of a constant exactly nothing is left."""
    centred = signal - signal.mean(axis=0)
    constant = np.square(centred).sum(axis=0) <= _ROUNDING * np.square(signal).sum(axis=0)
    return np.where(constant, 0.0, centred)


def _decibels(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return ratios of energies in dB: infinite without a denominator, minus infinite without a numerator."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(numerator == 0, -np.inf, 10 * np.log10(np.asarray(numerator) / denominator))

"""Figures of a generator: how near its examples come to real ones, how varied they are, and whether it replays.

All but the last two functions take embeddings, real arrays of shape `(examples, dim)` from `generation.embedding`, and
calculate in float64. Reference and generated ones are made by the same embedding, fitted on reference data alone.
`nearest_distances` and `replays` take mel spectrograms: an embedding of texture forgets which notes were played, and
takes a replay with a little noise, or at another gain, for something new.

Examples count as independent everywhere. Random crops of a few recordings are not: many of them give stable means and
covariances, but describe those recordings, not their genre, and ruin whatever asks for neighbours (see `density`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.spatial
import scipy.stats
import sklearn.cluster

from common.errors import UserError

# Neighbours that span a ball around an example; Naeem et al., 2020.
NUM_NEIGHBOURS = 5
# Rows of a matrix of distances that are held at a time: memory does not grow with the square of the examples.
_BLOCK_ROWS = 1024
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


def frechet_distance(reference: np.ndarray, generated: np.ndarray) -> float:
    """Compute the Fréchet distance of the two Gaussians that fit the embeddings, report it as `FAD-<embedding>`.

    `|m - m'|^2 + Tr(C + C' - 2 (C C')^(1/2))` with means m and unbiased covariances C. The trace of the root is the sum
    of the singular values of `A A'^T`, where `A^T A = C`: no root of a product of matrices is taken, so covariances of
    fewer examples than dimensions are fine.

    The figure is biased upwards, about as 1 / examples: compare figures of equally many, and name the floor, the distance
    of other real examples. `frechet_distance_infinity` takes the bias away.

    Args:
        reference: Shape `(examples, dim)`, at least two.
        generated: Shape `(other examples, dim)`, at least two.

    Returns:
        In squared units of the embedding, at least 0.

    Raises:
        UserError: Too few examples, values that are not finite, or different dimensions.

    Source:
        Dowson and Landau, "The Fréchet distance between multivariate normal distributions", 1982; Heusel et al., "GANs
        Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", 2017; Kilgour et al., "Fréchet
        Audio Distance", 2019.

    Example:
        >>> reference = np.array([[0.0], [2.0], [4.0]])
        >>> frechet_distance(reference, 3 * reference + 1)  # means 2 and 7, deviations 2 and 6
        41.0
    """
    reference, generated = _checked(reference, generated, 2)
    return _frechet(reference, generated)


def frechet_distance_infinity(
    reference: np.ndarray, generated: np.ndarray, num_sizes: int = 8, num_draws: int = 5, seed: int = 0
) -> float:
    """Extrapolate the Fréchet distance to infinitely many examples on both sides.

    Random shares of both sets, from half of each to all, give distances; the straight line through them over 1 / share
    is read at 0. That needs independent examples, and half of them more than there are dimensions: with fewer the bias
    is no straight line. Differing from FID-infinity, the reference shrinks too, because here it is as small as the
    generated set and biases as much; with a large one both agree.

    Args:
        reference: Shape `(examples, dim)`, at least eight.
        generated: Shape `(other examples, dim)`, at least eight.
        num_sizes: Shares between a half and the whole, at least two.
        num_draws: Random subsets of each share.
        seed: Draws them.

    Returns:
        In squared units of the embedding; below 0 by chance where the true distance is near 0.

    Raises:
        UserError: Too few examples, values that are not finite, different dimensions, or fewer than two sizes.

    Source:
        Chong and Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them", 2020; Gui et al.,
        "Adapting Fréchet Audio Distance for Generative Music Evaluation", 2024.
    """
    reference, generated = _checked(reference, generated, 8)
    if num_sizes < 2 or num_draws < 1:
        raise UserError(f"received {num_sizes} sizes and {num_draws} draws; expected at least 2 and 1 for a line")
    rng = np.random.default_rng(seed)
    shares = np.repeat(1 / np.linspace(2, 1, num_sizes), num_draws)
    distances = [_frechet(_subset(reference, share, rng), _subset(generated, share, rng)) for share in shares]
    _, intercept = np.polyfit(1 / shares, distances, 1)
    return float(intercept)


def precision(reference: np.ndarray, generated: np.ndarray, num_neighbours: int = NUM_NEIGHBOURS) -> float:
    """Compute the share of generated examples that lie in the ball of at least one reference example.

    A ball reaches to the k-th nearest other example of its own set, and not to its surface. One outlier has a ball that
    covers much: see `density`.

    Args:
        reference: Shape `(examples, dim)`, more than `num_neighbours`; see `density` for those that overlap.
        generated: Shape `(other examples, dim)`, at least one.
        num_neighbours: k.

    Returns:
        0 to 1.

    Raises:
        UserError: Too few examples, values that are not finite, or different dimensions.

    Source:
        Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019.
    """
    reference, generated = _checked(reference, generated, num_neighbours + 1, 1)
    return float((_balls_around(reference, generated, num_neighbours) > 0).mean())


def recall(reference: np.ndarray, generated: np.ndarray, num_neighbours: int = NUM_NEIGHBOURS) -> float:
    """Compute the share of reference examples that lie in the ball of at least one generated example.

    It is `precision` with the sets exchanged. Generated outliers raise it: see `coverage`.

    Args:
        reference: Shape `(examples, dim)`, at least one.
        generated: Shape `(other examples, dim)`, more than `num_neighbours`.
        num_neighbours: k.

    Returns:
        0 to 1.

    Raises:
        UserError: Too few examples, values that are not finite, or different dimensions.

    Source:
        Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019.
    """
    reference, generated = _checked(reference, generated, 1, num_neighbours + 1)
    return float((_balls_around(generated, reference, num_neighbours) > 0).mean())


def density(reference: np.ndarray, generated: np.ndarray, num_neighbours: int = NUM_NEIGHBOURS) -> float:
    """Compute in how many balls of reference examples a generated one lies, on average, divided by k.

    Alone it is worthless: a collapsed generator that sits in a crowded place exceeds 1. Read it with `coverage`.

    Warning:
        Excerpts of the reference that overlap are each other's nearest neighbours, so that their balls shrink and density
        and coverage go to 0 whatever is generated. Pass consecutive excerpts without overlap; a few dozen at least.

    Args:
        reference: Shape `(examples, dim)`, more than `num_neighbours`.
        generated: Shape `(other examples, dim)`, at least one.
        num_neighbours: k.

    Returns:
        0 and more; about 1 for examples of the reference's own distribution.

    Raises:
        UserError: Too few examples, values that are not finite, or different dimensions.

    Source:
        Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020.
    """
    reference, generated = _checked(reference, generated, num_neighbours + 1, 1)
    return float(_balls_around(reference, generated, num_neighbours).mean() / num_neighbours)


def coverage(reference: np.ndarray, generated: np.ndarray, num_neighbours: int = NUM_NEIGHBOURS) -> float:
    """Compute the share of reference examples whose ball holds at least one generated example.

    It grows with the number of generated examples; as many as there are references give about `1 - 2^-k` to equal
    distributions. The warning of `density` holds: a reference of overlapping excerpts makes it 0.

    Args:
        reference: Shape `(examples, dim)`, more than `num_neighbours`, without overlap.
        generated: Shape `(other examples, dim)`, at least one.
        num_neighbours: k.

    Returns:
        0 to 1.

    Raises:
        UserError: Too few examples, values that are not finite, or different dimensions.

    Source:
        Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020.
    """
    reference, generated = _checked(reference, generated, num_neighbours + 1, 1)
    radii = _radii(reference, num_neighbours)
    nearest = np.concatenate([distances.min(axis=1) for distances in _distances(reference, generated)])
    return float((nearest < radii).mean())


def spread_ratio(reference: np.ndarray, generated: np.ndarray) -> float:
    """Divide the mean distance of generated examples from their own mean by the same of the reference.

    Collapse shows here first, wherever the examples collapse to: 0 for a generator that repeats itself, 1 for one as
    varied as the reference. It says nothing of where the examples lie.

    Args:
        reference: Shape `(examples, dim)`, at least two.
        generated: Shape `(other examples, dim)`, at least two.

    Returns:
        0 and more; infinite if the reference does not vary.

    Raises:
        UserError: Too few examples, values that are not finite, or different dimensions.

    Example:
        >>> spread_ratio(np.array([[0.0], [4.0]]), np.array([[10.0], [11.0]]))
        0.25
    """
    reference, generated = _checked(reference, generated, 2)
    of_reference, of_generated = (np.linalg.norm(_centred(x), axis=1).mean() for x in (reference, generated))
    return float(of_generated / of_reference) if of_reference else float("inf")


def ndb(
    reference: np.ndarray, generated: np.ndarray, num_bins: int = 10, significance: float = 0.05, seed: int = 0
) -> int:
    """Count the bins that hold significantly more or fewer generated examples than reference ones.

    Bins are the cells of k-means on the reference. The shares of both sets in each are compared by a two-sided test of
    two proportions with pooled variance. Examples count as independent: of crops that overlap more bins differ than do.

    Args:
        reference: Shape `(examples, dim)`, at least `num_bins`; ten times as many make the test mean something.
        generated: Shape `(other examples, dim)`, at least one.
        num_bins: Number of bins.
        significance: Chance that equal shares count as different, between 0 and 1.
        seed: Of k-means.

    Returns:
        0 to `num_bins`; about `significance * num_bins` for equal distributions.

    Raises:
        UserError: Too few examples, values that are not finite, different dimensions, fewer than two bins, or a
            significance outside 0 to 1.

    Source:
        Richardson and Weiss, "On GANs and GMMs", 2018.
    """
    reference, generated = _checked(reference, generated, num_bins, 1)
    if num_bins < 2 or not 0 < significance < 1:
        raise UserError(f"received {num_bins} bins at significance {significance}; expected 2 or more, and 0 to 1")
    means = sklearn.cluster.KMeans(num_bins, n_init=10, random_state=seed).fit(reference)
    counts = [np.bincount(means.predict(examples), minlength=num_bins) for examples in (reference, generated)]
    scores = _two_proportions(*counts)
    return int((np.abs(scores) > scipy.stats.norm.isf(significance / 2)).sum())


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


def replays(generated: np.ndarray, training: Sequence[np.ndarray], held_out: np.ndarray) -> float:
    """Return the share of generated excerpts that are copies of what training heard; a generator passes with 0.

    A copy is an excerpt whose nearest distance is below 0.63 of the median of held-out excerpts, which training did not
    hear. Blurred, noisy and poor excerpts are no copies, unless of a training recording. Held-out recordings that share
    a riff or a loop with training lower the bar for generated ones too.

    Args:
        generated: Mel spectrograms in dB, shape `(excerpts, frames, bands)`.
        training: As in `nearest_distances`.
        held_out: Excerpts of recordings that training did not hear, shape `(other excerpts, frames, bands)`, as long.

    Returns:
        0 to 1. Above 0 the generator replays: `nearest_distances` tells which excerpts.

    Raises:
        UserError: As `nearest_distances`, or held-out excerpts are not as long as generated ones.
    """
    if np.shape(held_out)[1:] != np.shape(generated)[1:]:
        raise UserError(
            f"held-out excerpts have shape {np.shape(held_out)[1:]}, generated ones {np.shape(generated)[1:]}; "
            "expected the same"
        )
    limit = _COPY_SHARE * np.median(nearest_distances(held_out, training))
    return float((nearest_distances(generated, training) < limit).mean())


def _checked(
    reference: np.ndarray, generated: np.ndarray, min_reference: int, min_generated: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64, or refuse what cannot be compared."""
    min_generated = min_reference if min_generated is None else min_generated
    reference, generated = np.asarray(reference, np.float64), np.asarray(generated, np.float64)
    for name, embeddings, smallest in (
        ("reference", reference, min_reference),
        ("generated", generated, min_generated),
    ):
        if embeddings.ndim != 2 or not embeddings.shape[1]:
            raise UserError(f"{name} embeddings have shape {embeddings.shape}; expected (examples, dim)")
        if len(embeddings) < smallest:
            raise UserError(f"received {len(embeddings)} {name} examples; expected at least {smallest}")
        if not np.isfinite(embeddings).all():
            raise UserError(f"{name} embeddings contain NaN or infinite values; expected finite ones")
    if reference.shape[1] != generated.shape[1]:
        raise UserError(
            f"reference embeddings have {reference.shape[1]} dimensions, generated ones {generated.shape[1]}; "
            "expected the same embedding of both"
        )
    return reference, generated


def _centred(embeddings: np.ndarray) -> np.ndarray:
    return embeddings - embeddings.mean(axis=0)


def _frechet(reference: np.ndarray, generated: np.ndarray) -> float:
    roots = [_covariance_root(embeddings) for embeddings in (reference, generated)]
    of_means = np.square(reference.mean(axis=0) - generated.mean(axis=0)).sum()
    traces = sum(np.square(root).sum() for root in roots)
    of_root = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    # Rounding may leave equal sets a little below 0.
    return float(max(0.0, of_means + traces - 2 * of_root))


def _covariance_root(embeddings: np.ndarray) -> np.ndarray:
    """Return A of at most as many rows as columns, `A^T A` being the unbiased covariance."""
    root = _centred(embeddings) / np.sqrt(len(embeddings) - 1)
    return np.linalg.qr(root, mode="r") if len(root) > root.shape[1] else root


def _subset(embeddings: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(embeddings, round(share * len(embeddings)), replace=False)


def _distances(rows: np.ndarray, columns: np.ndarray) -> Iterator[np.ndarray]:
    """Yield Euclidean distances in blocks of shape `(some rows, columns)`."""
    for start in range(0, len(rows), _BLOCK_ROWS):
        yield scipy.spatial.distance.cdist(rows[start : start + _BLOCK_ROWS], columns)


def _radii(examples: np.ndarray, num_neighbours: int) -> np.ndarray:
    """Return each example's distance to its k-th nearest other one, shape `(examples,)`."""
    # The nearest is the example itself, at distance 0: the k-th other is number k, counted from 0.
    blocks = [
        np.partition(block, num_neighbours, axis=1)[:, num_neighbours] for block in _distances(examples, examples)
    ]
    return np.concatenate(blocks)


def _balls_around(centres: np.ndarray, examples: np.ndarray, num_neighbours: int) -> np.ndarray:
    """Return in how many of the centres' balls each example lies, shape `(examples,)`."""
    radii = _radii(centres, num_neighbours)
    return np.concatenate([(block < radii).sum(axis=1) for block in _distances(examples, centres)])


def _two_proportions(counts: np.ndarray, other_counts: np.ndarray) -> np.ndarray:
    """Return the z-score of the difference of two shares for each bin, 0 where a bin holds all or nothing."""
    total, other_total = counts.sum(), other_counts.sum()
    pooled = (counts + other_counts) / (total + other_total)
    deviation = np.sqrt(pooled * (1 - pooled) * (1 / total + 1 / other_total))
    difference = counts / total - other_counts / other_total
    return np.divide(difference, deviation, out=np.zeros_like(difference), where=deviation > 0)


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

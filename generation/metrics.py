"""Metrics of a generator: similarity of its examples to real ones, and their diversity.

All functions take embeddings, real arrays of shape `(examples, dim)` from `generation.embedding`, and compute in
float64. Reference and generated examples must use the same embedding, fitted on reference data only.
`generation.replays` measures whether a generator copies its training data.

All functions assume that examples are independent. Random crops of a few recordings are not. Many crops give stable
means and covariances, but of those recordings, not of their genre, and they invalidate metrics based on neighbours (see
`density`).
"""

from collections.abc import Iterator

import numpy as np
import scipy.spatial
import scipy.stats
import sklearn.cluster

from common.errors import UserError

# The k of the k-nearest-neighbour balls; Naeem et al., 2020.
NUM_NEIGHBOURS = 5
# Rows of the distance matrix that are computed at once, so that memory does not grow with the square of the examples.
_BLOCK_ROWS = 1024


def frechet_distance(reference: np.ndarray, generated: np.ndarray) -> float:
    """Compute the Fréchet distance of two Gaussians that are fitted to the embeddings; report it as `FAD-<embedding>`.

    `|m - m'|^2 + Tr(C + C' - 2 (C C')^(1/2))` with means m and unbiased covariances C. The trace of the root is
    computed as the sum of the singular values of `A A'^T`, where `A^T A = C`. No matrix square root is needed, so there
    may be fewer examples than dimensions.

    The distance has a positive bias of about 1 / examples. Compare distances of equally many examples, and report the
    floor, the distance of other real examples. `frechet_distance_infinity` removes the bias.

    Args:
        reference: Shape `(examples, dim)`, at least two.
        generated: Shape `(other examples, dim)`, at least two.

    Returns:
        The distance in squared units of the embedding, at least 0.

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

    Distances of random subsets of both sets, from half to all examples, are fitted by a line over 1 / fraction, whose
    value at 0 is the result. This needs independent examples, and more than twice as many as dimensions; otherwise the
    bias is not linear. Unlike in FID-infinity, the reference is subsampled too, because here it is as small as the
    generated set and has the same bias; with a large reference both methods agree.

    Args:
        reference: Shape `(examples, dim)`, at least eight.
        generated: Shape `(other examples, dim)`, at least eight.
        num_sizes: Number of subset sizes between half and all, at least two.
        num_draws: Number of random subsets per size.
        seed: Seed of the random subsets.

    Returns:
        The distance in squared units of the embedding; may be below 0 by chance if the true distance is near 0.

    Raises:
        UserError: Too few examples, values that are not finite, different dimensions, or fewer than two sizes.

    Source:
        Chong and Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them", 2020; Gui et al.,
        "Adapting Fréchet Audio Distance for Generative Music Evaluation", 2024.
    """
    reference, generated = _checked(reference, generated, 8)
    if num_sizes < 2 or num_draws < 1:
        raise UserError(f"received {num_sizes} sizes and {num_draws} draws; expected at least 2 and 1 to fit a line")
    rng = np.random.default_rng(seed)
    fractions = np.repeat(1 / np.linspace(2, 1, num_sizes), num_draws)
    distances = [_frechet(_subset(reference, one, rng), _subset(generated, one, rng)) for one in fractions]
    _, intercept = np.polyfit(1 / fractions, distances, 1)
    return float(intercept)


def precision(reference: np.ndarray, generated: np.ndarray, num_neighbours: int = NUM_NEIGHBOURS) -> float:
    """Compute the fraction of generated examples that are in the ball of at least one reference example.

    The radius of a ball is the distance to the k-th nearest other example of the same set; the surface is excluded. The
    ball of an outlier is very large: see `density`.

    Args:
        reference: Shape `(examples, dim)`, more than `num_neighbours`; see `density` for overlapping excerpts.
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
    """Compute the fraction of reference examples that are in the ball of at least one generated example.

    It is `precision` with the sets swapped. Generated outliers increase it: see `coverage`.

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
    """Compute the mean number of reference balls that contain a generated example, divided by k.

    Read it together with `coverage`: a collapsed generator in a dense region of the reference exceeds 1.

    Warning:
        Overlapping excerpts of the reference are each other's nearest neighbours. Their balls are tiny, and density and
        coverage go to 0 for any generator. Pass at least a few dozen consecutive excerpts without overlap.

    Args:
        reference: Shape `(examples, dim)`, more than `num_neighbours`.
        generated: Shape `(other examples, dim)`, at least one.
        num_neighbours: k.

    Returns:
        0 or more; about 1 if both sets have the same distribution.

    Raises:
        UserError: Too few examples, values that are not finite, or different dimensions.

    Source:
        Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020.
    """
    reference, generated = _checked(reference, generated, num_neighbours + 1, 1)
    return float(_balls_around(reference, generated, num_neighbours).mean() / num_neighbours)


def coverage(reference: np.ndarray, generated: np.ndarray, num_neighbours: int = NUM_NEIGHBOURS) -> float:
    """Compute the fraction of reference examples whose ball contains at least one generated example.

    It grows with the number of generated examples. For equal distributions with equally many examples it is about
    `1 - 2^-k`. With overlapping excerpts as the reference it goes to 0: see `density`.

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
    """Compute the mean distance of generated examples to their mean, divided by that of the reference.

    It detects collapse: 0 for a generator that repeats one example, 1 for one as diverse as the reference. It does not
    depend on the position of the examples.

    Args:
        reference: Shape `(examples, dim)`, at least two.
        generated: Shape `(other examples, dim)`, at least two.

    Returns:
        0 or more; infinite if all reference examples are equal.

    Raises:
        UserError: Too few examples, values that are not finite, or different dimensions.

    Example:
        >>> spread_ratio(np.array([[0.0], [4.0]]), np.array([[10.0], [11.0]]))
        0.25
    """
    reference, generated = _checked(reference, generated, 2)
    reference_spread, generated_spread = (np.linalg.norm(_centred(x), axis=1).mean() for x in (reference, generated))
    return float(generated_spread / reference_spread) if reference_spread else float("inf")


def ndb(
    reference: np.ndarray, generated: np.ndarray, num_bins: int = 10, significance: float = 0.05, seed: int = 0
) -> int:
    """Compute the number of statistically different bins (NDB).

    Bins are the clusters of k-means on the reference. In each bin the fractions of both sets are compared by a
    two-sided two-proportion z-test with pooled variance. Examples must be independent: with overlapping crops too many
    bins differ.

    Args:
        reference: Shape `(examples, dim)`, at least `num_bins`; use ten times as many for a meaningful test.
        generated: Shape `(other examples, dim)`, at least one.
        num_bins: Number of bins.
        significance: Significance level of the test, between 0 and 1.
        seed: Seed of k-means.

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
        raise UserError(
            f"received {num_bins} bins at significance {significance}; expected at least 2 bins and a level between "
            "0 and 1"
        )
    means = sklearn.cluster.KMeans(num_bins, n_init=10, random_state=seed).fit(reference)
    counts = [np.bincount(means.predict(examples), minlength=num_bins) for examples in (reference, generated)]
    scores = _two_proportions(*counts)
    return int((np.abs(scores) > scipy.stats.norm.isf(significance / 2)).sum())


def _checked(
    reference: np.ndarray, generated: np.ndarray, min_reference: int, min_generated: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64, after a check of shapes and values."""
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
            "expected the same embedding for both"
        )
    return reference, generated


def _centred(embeddings: np.ndarray) -> np.ndarray:
    return embeddings - embeddings.mean(axis=0)


def _frechet(reference: np.ndarray, generated: np.ndarray) -> float:
    roots = [_covariance_root(embeddings) for embeddings in (reference, generated)]
    mean_term = np.square(reference.mean(axis=0) - generated.mean(axis=0)).sum()
    traces = sum(np.square(root).sum() for root in roots)
    cross_term = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    # Due to rounding the distance of equal sets may be slightly below 0.
    return float(max(0.0, mean_term + traces - 2 * cross_term))


def _covariance_root(embeddings: np.ndarray) -> np.ndarray:
    """Return A with `A^T A` equal to the unbiased covariance; it has at most as many rows as columns."""
    root = _centred(embeddings) / np.sqrt(len(embeddings) - 1)
    return np.linalg.qr(root, mode="r") if len(root) > root.shape[1] else root


def _subset(embeddings: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(embeddings, round(fraction * len(embeddings)), replace=False)


def _distances(rows: np.ndarray, columns: np.ndarray) -> Iterator[np.ndarray]:
    """Yield Euclidean distances in blocks of shape `(some rows, columns)`."""
    for start in range(0, len(rows), _BLOCK_ROWS):
        yield scipy.spatial.distance.cdist(rows[start : start + _BLOCK_ROWS], columns)


def _radii(examples: np.ndarray, num_neighbours: int) -> np.ndarray:
    """Return the distance of each example to its k-th nearest neighbour, shape `(examples,)`."""
    # Index 0 is the example itself, at distance 0, so index k is the k-th neighbour.
    blocks = [
        np.partition(block, num_neighbours, axis=1)[:, num_neighbours] for block in _distances(examples, examples)
    ]
    return np.concatenate(blocks)


def _balls_around(centres: np.ndarray, examples: np.ndarray, num_neighbours: int) -> np.ndarray:
    """Return the number of balls around `centres` that contain each example, shape `(examples,)`."""
    radii = _radii(centres, num_neighbours)
    return np.concatenate([(block < radii).sum(axis=1) for block in _distances(examples, centres)])


def _two_proportions(counts: np.ndarray, other_counts: np.ndarray) -> np.ndarray:
    """Return the z-score of the difference of proportions for each bin; 0 if a bin has all examples or none."""
    total, other_total = counts.sum(), other_counts.sum()
    pooled = (counts + other_counts) / (total + other_total)
    deviation = np.sqrt(pooled * (1 - pooled) * (1 / total + 1 / other_total))
    difference = counts / total - other_counts / other_total
    return np.divide(difference, deviation, out=np.zeros_like(difference), where=deviation > 0)

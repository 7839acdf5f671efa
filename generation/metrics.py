"""Figures of a generator: how near its examples come to real ones, and how varied they are.

All functions take embeddings, real arrays of shape `(examples, dim)` from `generation.embedding`, and calculate in
float64. Reference and generated ones are made by the same embedding, fitted on reference data alone. Whether a generator
replays what it heard is in `generation.replays`.

Examples count as independent everywhere. Random crops of a few recordings are not: many of them give stable means and
covariances, but describe those recordings, not their genre, and ruin whatever asks for neighbours (see `density`).
"""

from collections.abc import Iterator

import numpy as np
import scipy.spatial
import scipy.stats
import sklearn.cluster

from common.errors import UserError

# Neighbours that span a ball around an example; Naeem et al., 2020.
NUM_NEIGHBOURS = 5
# Rows of a matrix of distances that are held at a time: memory does not grow with the square of the examples.
_BLOCK_ROWS = 1024


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

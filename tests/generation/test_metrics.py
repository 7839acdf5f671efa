"""Distances, neighbours and bins against naive references and closed forms."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from common.errors import UserError
from generation import metrics


def gaussian(rng, num_examples, mean, covariance):
    """Draw examples whose mean and unbiased covariance are exactly these."""
    draws = rng.normal(size=(num_examples, len(mean)))
    draws -= draws.mean(axis=0)
    whitened = draws @ np.linalg.inv(np.linalg.cholesky(np.cov(draws.T))).T
    return whitened @ np.linalg.cholesky(covariance).T + mean


def random_covariance(rng, dim):
    root = rng.normal(size=(dim, 2 * dim))
    return root @ root.T / dim


@pytest.mark.parametrize("num_generated", [40, 400])
def test_frechet_distance_equals_the_formula_with_a_matrix_root(rng, num_generated):
    reference = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)) + 1
    generated = rng.normal(size=(num_generated, 12)) @ rng.normal(size=(12, 12))
    means = reference.mean(axis=0) - generated.mean(axis=0)
    first, second = np.cov(reference.T), np.cov(generated.T)
    expected = means @ means + np.trace(first + second - 2 * scipy.linalg.sqrtm(first @ second).real)
    assert metrics.frechet_distance(reference, generated) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(generated, reference) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_has_the_closed_form_of_gaussians_that_share_axes(rng):
    axes = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    deviations, others = np.array([1.0, 2, 3, 0.5, 4]), np.array([2.0, 2, 1, 0.1, 5])
    mean = np.arange(5.0)
    reference = gaussian(rng, 60, mean, axes * deviations**2 @ axes.T)
    generated = gaussian(rng, 90, mean + 3, axes * others**2 @ axes.T)
    expected = 5 * 9 + np.square(deviations - others).sum()
    assert metrics.frechet_distance(reference, generated) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_fewer_examples_than_dimensions(rng):
    few = rng.normal(size=(5, 40))
    assert metrics.frechet_distance(few, few) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(few, few + 2) == pytest.approx(160)
    # Three times as wide about the same mean: tr(C) (3 - 1)^2.
    mean = few.mean(axis=0)
    assert metrics.frechet_distance(few, mean + 3 * (few - mean)) == pytest.approx(4 * few.var(axis=0, ddof=1).sum())
    # Of a single point only the trace is left.
    assert metrics.frechet_distance(few, np.repeat(mean[None], 9, axis=0)) == pytest.approx(
        few.var(axis=0, ddof=1).sum()
    )


def test_the_extrapolation_takes_the_bias_away():
    figures = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        reference, generated = rng.normal(size=(200, 16)), rng.normal(size=(120, 16))
        functions = (metrics.frechet_distance, metrics.frechet_distance_infinity)
        figures.append([function(reference, generated) for function in functions])
    biased, unbiased = np.mean(figures, axis=0)
    assert biased > 0.9
    assert abs(unbiased) < 0.09


def test_the_extrapolation_is_drawn_by_its_seed(rng):
    reference, generated = rng.normal(size=(60, 4)), rng.normal(size=(50, 4)) + 1
    first, again, other = (metrics.frechet_distance_infinity(reference, generated, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def naive_neighbours(reference, generated, k):
    """Precision, recall, density and coverage by their definitions, one pair at a time."""

    def radius(examples, index):
        return sorted(np.linalg.norm(examples[index] - x) for i, x in enumerate(examples) if i != index)[k - 1]

    radii = [radius(reference, index) for index in range(len(reference))]
    other_radii = [radius(generated, index) for index in range(len(generated))]
    inside = np.array([[np.linalg.norm(r - g) < radii[i] for g in generated] for i, r in enumerate(reference)])
    around = np.array([[np.linalg.norm(r - g) < other_radii[j] for j, g in enumerate(generated)] for r in reference])
    return (
        inside.any(axis=0).mean(),
        around.any(axis=1).mean(),
        inside.sum() / k / len(generated),
        inside.any(axis=1).mean(),
    )


NEIGHBOURS = (metrics.precision, metrics.recall, metrics.density, metrics.coverage)


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_are_those_of_the_definitions(rng, k, monkeypatch):
    monkeypatch.setattr(metrics, "_BLOCK_ROWS", 7)
    reference, generated = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)) + 0.7
    found = [function(reference, generated, k) for function in NEIGHBOURS]
    expected = naive_neighbours(reference, generated, k)
    assert found == pytest.approx(expected)
    # No two are equal, so none can stand in for another.
    assert len({round(value, 6) for value in expected}) == 4


def test_a_ball_has_no_surface_and_excludes_itself():
    # Each ball reaches to the next number, exactly 1 away.
    line = np.arange(10.0)[:, None]
    assert metrics.precision(line, line, 1) == metrics.density(line, line, 1) == 1
    assert metrics.precision(line, line + 0.5, 1) == 1
    assert metrics.precision(line, np.array([[-1.0], [10.0]]), 1) == 0
    assert metrics.coverage(line, np.array([[4.0]]), 1) == pytest.approx(0.1)


def test_equal_distributions_give_what_theory_says():
    rng = np.random.default_rng(3)
    reference, generated = rng.normal(size=(1500, 8)), rng.normal(size=(1500, 8))
    assert metrics.density(reference, generated) == pytest.approx(1, abs=0.05)
    assert metrics.coverage(reference, generated) == pytest.approx(1 - 2**-5, abs=0.015)
    assert metrics.precision(reference, generated) == pytest.approx(metrics.recall(reference, generated), abs=0.04)


def test_a_collapsed_generator_has_density_but_neither_coverage_nor_spread(rng):
    reference = rng.normal(size=(200, 4))
    crowded = max(reference, key=lambda example: metrics.density(reference, example[None]))
    generated = crowded + 0.01 * rng.normal(size=(100, 4))
    assert metrics.density(reference, generated) > 1.5
    assert metrics.coverage(reference, generated) < 0.1
    assert metrics.spread_ratio(reference, generated) < 0.02


def test_excerpts_that_overlap_drive_coverage_to_nothing(rng):
    reference, generated = rng.normal(size=(60, 6)), rng.normal(size=(60, 6))
    overlapping = np.repeat(reference, 8, axis=0) + 1e-3 * rng.normal(size=(480, 6))
    assert metrics.coverage(reference, generated) > 0.9
    assert metrics.coverage(overlapping, generated) == metrics.density(overlapping, generated) == 0


def test_spread_ratio_scales_and_ignores_where_examples_lie(rng):
    reference = rng.normal(size=(50, 3))
    assert metrics.spread_ratio(reference, 0.3 * reference + 7) == pytest.approx(0.3)
    # The corners of a square are 1 from their mean, its ends sqrt(2) times as far.
    square, ends = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]]), np.array([[1.0, 1], [-1, -1]])
    assert metrics.spread_ratio(square, ends) == pytest.approx(np.sqrt(2))
    assert metrics.spread_ratio(np.ones((3, 2)), reference[:, :2]) == float("inf")


def test_ndb_counts_the_bins_that_a_test_of_two_proportions_tells_apart(rng):
    centres = 100 * np.arange(4.0)
    reference_counts, counts = [50, 50, 50, 50], [30, 42, 56, 72]
    reference, generated = (
        (np.repeat(centres, counts) + 0.1 * rng.normal(size=sum(counts)))[:, None]
        for counts in (reference_counts, counts)
    )
    values = [
        scipy.stats.chi2_contingency([[a, 200 - a], [b, 200 - b]], correction=False).pvalue
        for a, b in zip(reference_counts, counts, strict=True)
    ]
    for significance in (0.001, 0.02, 0.05, 0.5):
        expected = sum(value < significance for value in values)
        assert metrics.ndb(reference, generated, 4, significance) == expected
    assert sum(value < 0.05 for value in values) == 2


def test_ndb_of_a_generator_that_lacks_a_mode(rng):
    reference = np.concatenate([rng.normal(size=(100, 2)) + offset for offset in (0, 20, 40)])
    assert metrics.ndb(reference, reference + 0.1, 3) == 0
    assert metrics.ndb(reference, reference[:200], 3) == 3


PAIRS = {
    "frechet_distance": (metrics.frechet_distance, 2, 2),
    "frechet_distance_infinity": (metrics.frechet_distance_infinity, 8, 8),
    "precision": (metrics.precision, 6, 1),
    "recall": (metrics.recall, 1, 6),
    "density": (metrics.density, 6, 1),
    "coverage": (metrics.coverage, 6, 1),
    "spread_ratio": (metrics.spread_ratio, 2, 2),
    "ndb": (metrics.ndb, 10, 1),
}


@pytest.mark.parametrize("name", PAIRS)
def test_too_few_examples_are_refused(name, rng):
    function, num_reference, num_generated = PAIRS[name]
    reference, generated = rng.normal(size=(num_reference, 3)), rng.normal(size=(num_generated, 3))
    assert np.isfinite(function(reference, generated))
    with pytest.raises(UserError, match=f"received {num_reference - 1} reference examples; expected .*{num_reference}"):
        function(reference[1:], generated)
    with pytest.raises(UserError, match=f"received {num_generated - 1} generated examples"):
        function(reference, generated[1:])


@pytest.mark.parametrize("name", PAIRS)
def test_what_cannot_be_compared_is_refused(name, rng):
    function = PAIRS[name][0]
    reference, generated = rng.normal(size=(20, 3)), rng.normal(size=(20, 3))
    with pytest.raises(UserError, match="3 dimensions, generated ones 2"):
        function(reference, generated[:, :2])
    with pytest.raises(UserError, match="expected .examples, dim."):
        function(reference, generated[0])
    for value in (np.nan, np.inf):
        generated[3, 1] = value
        with pytest.raises(UserError, match="generated embeddings contain NaN"):
            function(reference, generated)


def test_options_that_make_no_sense_are_refused(rng):
    examples = rng.normal(size=(20, 3))
    for options in ({"num_bins": 1}, {"significance": 0.0}, {"significance": 1.0}):
        with pytest.raises(UserError, match="bins at significance"):
            metrics.ndb(examples, examples, **options)
    with pytest.raises(UserError, match="expected at least 2"):
        metrics.frechet_distance_infinity(examples, examples, num_sizes=1)

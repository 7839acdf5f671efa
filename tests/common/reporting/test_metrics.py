import numpy as np
import pytest
from sklearn import metrics as reference

from common.reporting import metrics


def test_the_interval_matches_the_published_formula():
    proportion, total, z = 0.9, 100, 1.959963984540054
    centre = (proportion + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(proportion * (1 - proportion) / total + z**2 / (4 * total**2))
    assert metrics.wilson_interval(90, 100) == pytest.approx((centre - half, centre + half), abs=1e-9)


def test_the_interval_of_a_perfect_score_does_not_collapse():
    low, high = metrics.wilson_interval(20, 20)
    assert high == pytest.approx(1.0)
    assert 0.8 < low < 0.9


def test_a_proportion_has_its_interval_and_of_nothing_none():
    value = metrics.proportion(np.int64(90), np.int64(100))
    assert value == {"share": 0.9, "count": 90, "total": 100, "interval": list(metrics.wilson_interval(90, 100))}
    assert metrics.proportion(0, 0) == {"share": None, "count": 0, "total": 0, "interval": None}


def test_pooled_proportions_are_that_of_all_examples():
    values = [metrics.proportion(*counts) for counts in ((1, 2), (0, 0), (8, 10))]
    assert metrics.pool_proportions(values) == metrics.proportion(9, 12)


@pytest.fixture
def answers(rng):
    targets = rng.integers(0, 3, 200)
    scores = rng.normal(size=(200, 3)) + 2 * np.eye(3)[targets]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return targets, probabilities


def test_figures_agree_with_scikit_learn(answers):
    targets, probabilities = answers
    figures = metrics.classification(targets, probabilities, ("a", "b", "c"))
    report = reference.classification_report(
        targets, probabilities.argmax(1), target_names=["a", "b", "c"], output_dict=True
    )
    assert figures["accuracy"] == pytest.approx(report["accuracy"])
    assert figures["cross_entropy"] == pytest.approx(reference.log_loss(targets, probabilities))
    for label in "abc":
        assert figures["labels"][label]["precision"] == pytest.approx(report[label]["precision"])
        assert figures["labels"][label]["recall"] == pytest.approx(report[label]["recall"])
        assert figures["labels"][label]["support"] == report[label]["support"]
    assert figures["labels"]["b"]["auc"] == pytest.approx(reference.roc_auc_score(targets == 1, probabilities[:, 1]))


def test_a_label_without_examples_has_no_auc(answers):
    targets, probabilities = answers
    kept = targets < 2
    figures = metrics.classification(targets[kept], probabilities[kept], ("a", "b", "c"))
    assert figures["labels"]["c"]["auc"] is None
    assert figures["labels"]["c"]["support"] == 0


def test_confusion_has_truth_in_rows(answers):
    targets, probabilities = answers
    counts = metrics.confusion(targets, probabilities.argmax(1), ("a", "b", "c"))
    assert counts.loc["a"].sum() == (targets == 0).sum()
    assert counts["a"].sum() == (probabilities.argmax(1) == 0).sum()
    assert np.trace(counts) == (probabilities.argmax(1) == targets).sum()


def test_a_test_that_is_too_small_says_so():
    assert metrics.caution(30, "clips", "90% to 100%", width=0.1) == []
    (few,) = metrics.caution(29, "clips", "90% to 100%", width=0.1)
    assert few == "too few clips to compare models: 29, 95 % interval 90% to 100%; test on more"
    assert len(metrics.caution(80, "clips", "40% to 62%", width=0.22)) == 1
    assert metrics.caution(5, "tracks", fewest=5) == []
    assert metrics.caution(4, "tracks", fewest=5) == ["too few tracks to compare models: 4; test on more"]


def test_the_interval_of_clustered_examples_draws_whole_groups():
    hits = np.repeat([True, False, True, True], 25)
    groups = np.repeat(["a", "b", "c", "d"], 25)
    low, high = metrics.clustered_interval(hits, groups)
    # Four speakers of whom one is wrong: hundred clips are no more certain than four.
    assert low <= 0.25
    assert high == 1.0
    apart = metrics.clustered_interval(hits, np.arange(100).astype(str))
    assert 0.65 < apart[0] < 0.7
    assert 0.8 < apart[1] < 0.85
    assert metrics.clustered_interval(hits, np.repeat("a", 100)) is None

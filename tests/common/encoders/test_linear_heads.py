"""Heads that are fitted in milliseconds, beside scikit-learn's own predictions and beside a layer of Keras."""

import keras
import numpy as np
import pytest
from scipy import special
from sklearn import metrics
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common.encoders import linear_heads


def examples(rng, num_classes=4, number=30, size=20):
    """Overlapping clouds, of features whose units differ."""
    targets = np.arange(number * num_classes) % num_classes
    means = rng.normal(0, 0.7, (num_classes, size))
    units = 10 ** rng.uniform(-2, 2, size)
    return ((rng.normal(size=(len(targets), size)) + means[targets]) * units + 3).astype(np.float32), targets


@pytest.mark.parametrize("name", linear_heads.NAMES)
@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_head_decides_as_scikit_learn_does(name, num_classes, rng):
    features, targets = examples(rng, num_classes)
    others, expected = examples(rng, num_classes)
    theirs = make_pipeline(StandardScaler(), linear_heads.estimator(name)).fit(features, targets).predict(others)
    scores = linear_heads.fit(name, features, targets, num_classes).scores(others)
    np.testing.assert_array_equal(scores.argmax(axis=1), theirs)
    # It is no test if all of them are right.
    assert (theirs != expected).any() and len(set(theirs)) == num_classes


@pytest.mark.parametrize("name", ["lda", "logistic"])
@pytest.mark.parametrize("num_classes", [2, 4])
def test_scores_that_are_log_probabilities_are_those_of_scikit_learn(name, num_classes, rng):
    features, targets = examples(rng, num_classes)
    theirs = make_pipeline(StandardScaler(), linear_heads.estimator(name)).fit(features, targets)
    scores = linear_heads.fit(name, features, targets, num_classes).scores(features)
    np.testing.assert_allclose(linear_heads.probabilities(scores), theirs.predict_proba(features), atol=1e-6)


@pytest.mark.parametrize("name", linear_heads.NAMES)
def test_a_layer_with_its_weights_gives_its_probabilities(name, rng):
    features, targets = examples(rng)
    head = linear_heads.fit(name, features, targets, 4)
    layer = keras.layers.Dense(4, activation="softmax")
    layer.build(features.shape)
    layer.set_weights(head.weights(2.5))
    expected = linear_heads.probabilities(head.scores(features), 2.5)
    np.testing.assert_allclose(layer(features), expected, atol=1e-3)
    assert np.abs(linear_heads.probabilities(head.scores(features)) - expected).max() > 0.01


@pytest.mark.parametrize("name", linear_heads.NAMES)
def test_a_class_without_examples_is_never_the_answer(name, rng):
    features, targets = examples(rng)
    present = targets != 2
    scores = linear_heads.fit(name, features[present], targets[present], 4).scores(features)
    probabilities = linear_heads.probabilities(scores)
    assert (probabilities[:, 2] == 0).all() and np.isfinite(probabilities).all()
    assert (scores.argmax(axis=1) == targets)[present].mean() > 0.7


@pytest.mark.parametrize("name", ["ridge", "lda", "logistic"])
def test_a_class_counts_the_same_however_many_examples_it_has(name, rng):
    features, targets = examples(rng, 2, 400, 2)
    # Twenty times as many of the first class would pull the border far into the second.
    rare = (targets == 0) | (np.arange(len(targets)) < 40)
    whole, part = (
        linear_heads.fit(name, features[rows], targets[rows], 2).scores(features).argmax(axis=1).mean()
        for rows in (np.ones(len(targets), bool), rare)
    )
    assert part == pytest.approx(whole, abs=0.08)


def test_the_temperature_is_that_of_the_scores(rng):
    scores = rng.normal(0, 3, (4000, 5))
    drawn = [rng.choice(5, p=row) for row in special.softmax(scores, axis=1)]
    for factor in (0.01, 1, 300):
        assert linear_heads.temperature(factor * scores, np.array(drawn)) == pytest.approx(factor, rel=0.1)


def test_the_log_loss_is_that_of_scikit_learn(rng):
    scores, targets = rng.normal(0, 3, (50, 5)), rng.integers(0, 5, 50)
    expected = metrics.log_loss(targets, special.softmax(scores / 2, axis=1), labels=range(5))
    assert linear_heads.cross_entropy(scores, targets, 2.0) == pytest.approx(expected, rel=1e-6)
    # A score that is surely wrong has a finite loss.
    assert linear_heads.cross_entropy(np.array([[1e4, 0.0]]), np.array([1])) == pytest.approx(-np.log(1e-7))

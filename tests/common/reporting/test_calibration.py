"""The calibration error beside scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from common.reporting import calibration, plots


def test_the_bins_are_those_of_scikit_learn(rng):
    confidence = rng.uniform(0, 1, 500)
    correct = rng.uniform(0, 1, 500) < confidence**2
    table = calibration.reliability(confidence, correct)
    accuracy, mean = calibration_curve(correct, confidence, n_bins=15)
    np.testing.assert_allclose(table["accuracy"], accuracy)
    np.testing.assert_allclose(table["confidence"], mean)
    assert table["examples"].sum() == 500


def test_the_error_is_zero_where_probabilities_are_true_and_large_where_they_boast(rng):
    confidence = rng.uniform(0.3, 1, 200_000)
    correct = rng.uniform(0, 1, confidence.size) < confidence
    assert calibration.expected_error(calibration.reliability(confidence, correct)) < 0.005
    boast = calibration.reliability(np.full(100, 0.99), np.arange(100) < 60)
    assert calibration.expected_error(boast) == pytest.approx(0.39)


def test_ones_and_zeros_have_a_bin():
    table = calibration.reliability(np.array([0.0, 1.0]), np.array([False, True]))
    assert table["accuracy"].tolist() == [0.0, 1.0]


def test_the_diagram_has_a_point_a_bin(rng):
    confidence = rng.uniform(0, 1, 300)
    table = calibration.reliability(confidence, confidence > 0.5)
    figure = calibration.draw(table, "title")
    _, model = figure.axes[0].get_lines()
    np.testing.assert_allclose(model.get_ydata(), table["accuracy"])
    assert plots.to_image(figure).shape[-1] in (3, 4)

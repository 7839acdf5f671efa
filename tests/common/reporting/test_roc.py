import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_curve

from common.reporting import metrics, plots, roc


def table(false_positive_rate, true_positive_rate):
    return pd.DataFrame({"false_positive_rate": false_positive_rate, "true_positive_rate": true_positive_rate})


def drawn(figure):
    """The lines of a figure by their names in the legend."""
    legend = figure.axes[0].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    return dict(zip(names, legend.legend_handles, strict=True))


def level(height):
    """A curve that is as high as this everywhere."""
    return table([0.0, 0.0, 1.0], [0.0, height, 1.0])


def test_few_curves_all_have_their_names_colours_and_styles(rng):
    targets = rng.integers(0, 2, 50).astype(bool)
    curve = metrics.roc(targets, rng.uniform(size=50))
    lines = drawn(roc.draw({"a": curve, "_silence_": curve, "$b_{": curve}))
    assert list(lines) == ["a", "_silence_", "$b_{"]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines.values()}) == 3


def test_of_many_curves_the_worst_and_the_mean_stand_out():
    heights = [0.9, 0.5, 0.8, 0.3, 0.7, 0.6, 0.95, 0.99]
    curves = {"any": level(0.1)} | {f"word{height}": level(height) for height in heights}
    figure = roc.draw(curves, emphasis="any")
    lines = drawn(figure)
    assert list(lines) == ["any", "mean of 8", "word0.3", "word0.5", "word0.6", "5 others"]
    assert len(figure.axes[0].lines) == len(heights) + 2
    colours = [line.get_color() for line in lines.values()]
    assert len(set(colours)) == len(colours)
    mean = figure.axes[0].lines[1]
    assert mean.get_ydata()[0] == pytest.approx(np.mean(heights))


def test_a_curve_that_is_better_only_beyond_a_tenth_of_false_positives_is_worse():
    late = table([0.0, 0.1, 0.1, 1.0], [0.0, 0.0, 1.0, 1.0])
    early = table([0.0, 0.001, 0.5, 1.0], [0.0, 0.8, 0.8, 1.0])
    assert list(drawn(roc.draw({"early": early, "late": late}))) == ["late", "early"]


def test_the_mean_is_the_macro_average(rng):
    curves = [roc_curve(np.repeat([0, 1], 40), rng.normal(size=80) + np.repeat([0, d], 40))[:2] for d in (1, 2)]
    rates, heights = roc._mean(curves)
    # At each rate a curve is as high as the last of its points that is not to the right.
    expected = [np.mean([true[false <= rate].max() for false, true in curves]) for rate in rates]
    np.testing.assert_allclose(heights, expected)
    assert set(rates) == {rate for false, _ in curves for rate in false}


def test_marks_and_axes_are_drawn():
    figure = roc.draw({"a": level(0.5)}, "title", ("x", "y"), [(0.1, 0.9)])
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("x", "y", "title")
    assert axes.lines[-1].get_xydata().tolist() == [[0.1, 0.9]]
    assert plots.to_image(figure).std() > 0

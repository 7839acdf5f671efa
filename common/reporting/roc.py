"""Plots of ROC curves, of one score or of many classes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from common.reporting import drawing, plots

# With more curves than this, only some of the worst are highlighted.
_MOST_CURVES, _WORST_CURVES = 6, 3
_STYLES = ("-", "--", "-.", ":")


@drawing.guarded
def draw(
    curves: dict[str, pd.DataFrame],
    title: str = "",
    labels: tuple[str, str] = ("false positive rate", "true positive rate"),
    marks: Sequence[tuple[float, float]] = (),
    emphasis: str = "",
) -> plots.Figure:
    """Draw ROC curves with a logarithmic axis of false positives, to show the low rates relevant for keyword spotting.

    The worst curves are first. With many curves, the worst and the mean are highlighted, and the others are thin and grey.

    Args:
        curves: A table from `common.reporting.metrics.roc` for each name.
        title: Title of the plot.
        labels: Labels of the axes.
        marks: Points to mark, false and true positive rate.
        emphasis: Name of a curve to draw in black and leave out of the mean, if it exists.
    """
    figure = plots.Figure(figsize=(5.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    steps = {name: (table["false_positive_rate"], table["true_positive_rate"]) for name, table in curves.items()}
    lines = {}

    def add(name: str, curve: tuple[np.ndarray, np.ndarray], style: str, **options) -> None:
        (lines[name],) = axes.step(*curve, style, where="post", **options)

    if emphasis in steps:
        add(emphasis, steps.pop(emphasis), "k-", linewidth=1.2)
    shown, others = sorted(steps, key=lambda name: _height(*steps[name])), []
    if len(steps) > _MOST_CURVES:
        add(f"mean of {len(steps)}", _mean(list(steps.values())), "-", color="C0", linewidth=2.4)
        shown, others = shown[:_WORST_CURVES], shown[_WORST_CURVES:]
    for number, name in enumerate(shown, 1):
        add(name, steps[name], _STYLES[number % len(_STYLES)], color=f"C{number}", linewidth=1.8)
    for name in others:
        add(f"{len(others)} others", steps[name], "-", color="0.75", linewidth=0.8, zorder=1)
    for false_positive_rate, true_positive_rate in marks:
        axes.plot(false_positive_rate, true_positive_rate, "ko", markersize=4)
    axes.set_xscale("symlog", linthresh=1e-3)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel=labels[0], ylabel=labels[1], title=title)
    axes.grid(alpha=0.3)
    # Below the axes, since curves can reach every corner.
    plots.legend(axes, lines, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    return figure


def _height(false_positive_rate: np.ndarray, true_positive_rate: np.ndarray) -> float:
    """Return the mean true positive rate over log-spaced false positive rates from 0.1 %."""
    at = np.searchsorted(false_positive_rate, np.geomspace(1e-3, 1, 100), side="right") - 1
    return float(np.asarray(true_positive_rate)[at].mean())


def _mean(curves: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the macro average of ROC curves."""
    rates = np.unique(np.concatenate([false for false, _ in curves]))
    heights = [np.asarray(true)[np.searchsorted(false, rates, side="right") - 1] for false, true in curves]
    return rates, np.mean(heights, axis=0)

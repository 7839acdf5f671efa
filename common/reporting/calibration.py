"""Calibration of a classifier: whether its probabilities are as high as the fraction of correct predictions."""

import numpy as np
import pandas as pd

from common.reporting import drawing, plots

_NUM_BINS = 15


def reliability(confidence: np.ndarray, correct: np.ndarray, num_bins: int = _NUM_BINS) -> pd.DataFrame:
    """Compare confidence and accuracy in bins of equal width.

    Args:
        confidence: Probability of each predicted class, shape `(examples,)`.
        correct: Whether each prediction is correct, shape `(examples,)`.
        num_bins: Number of bins between 0 and 1.

    Returns:
        A row for each bin with examples: the mean `confidence`, the `accuracy`, and the number of `examples`.

    Example:
        >>> reliability(np.array([0.9, 0.9, 0.2]), np.array([True, False, False]), num_bins=2)
           confidence  accuracy  examples
        0         0.2       0.0         1
        1         0.9       0.5         2
    """
    # A confidence on an edge is in the lower bin, as in the paper.
    bins = np.clip(np.ceil(np.asarray(confidence, np.float64) * num_bins).astype(int) - 1, 0, num_bins - 1)
    table = pd.DataFrame({"bin": bins, "confidence": confidence, "accuracy": np.asarray(correct, np.float64)})
    grouped = table.groupby("bin")
    return grouped.mean().assign(examples=grouped.size()).reset_index(drop=True)


def expected_error(table: pd.DataFrame) -> float:
    """Return the expected calibration error (ECE): the mean difference of confidence and accuracy over the examples.

    Guo et al., "On calibration of modern neural networks" (ICML 2017, arXiv 1706.04599), with 15 bins.

    Args:
        table: From `reliability`.
    """
    differences = (table["confidence"] - table["accuracy"]).abs()
    return float(np.average(differences, weights=table["examples"]))


@drawing.guarded
def draw(table: pd.DataFrame, title: str = "") -> plots.Figure:
    """Draw a reliability diagram: accuracy over confidence, with the number of examples below.

    Args:
        table: From `reliability`.
        title: Title of the plot.
    """
    figure = plots.Figure(figsize=(5.4, 4.8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], "k:", linewidth=1, label="perfectly calibrated")
    above.plot(table["confidence"], table["accuracy"], "o-", color="C0", label="model")
    above.set(xlim=(0, 1), ylim=(0, 1.01), ylabel="accuracy", title=title)
    above.grid(alpha=0.3)
    above.legend(loc="upper left", fontsize=9)
    below.hist(table["confidence"], np.linspace(0, 1, _NUM_BINS + 1), weights=table["examples"], color="C0", alpha=0.6)
    below.set(xlabel="probability of the predicted class", ylabel="examples")
    below.grid(alpha=0.3)
    return figure

"""Metrics that are shared by several tasks."""

import dataclasses
from typing import Self

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics

# As in Keras, probabilities are clipped to this distance from 0 and 1 (keras.config.epsilon).
_EPSILON = 1e-7
# Tests with fewer examples, or with a wider 95 % interval of a fraction, hardly tell models apart.
_NUM_DRAWS = 1000
_FEWEST_EXAMPLES, _WIDEST_INTERVAL = 30, 0.2


@dataclasses.dataclass(frozen=True)
class Metrics:
    """The metrics of a model on a split; each task adds its most important metrics as attributes.

    Attributes:
        everything: All metrics, as in `metrics.json` and `evaluation.json`.
    """

    everything: dict = dataclasses.field(repr=False)

    @classmethod
    def of(cls, figures: dict) -> Self:
        """Create an instance from the result of `evaluate_split`; missing metrics are None."""
        names = [item.name for item in dataclasses.fields(cls) if item.name != "everything"]
        return cls(figures, **{name: figures.get(name) for name in names})


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion (Wilson 1927), valid for few examples and near 0 and 1.

    Args:
        correct: Number of successes.
        total: Number of trials, at least 1.
        confidence: Confidence level of the interval.

    Returns:
        Lower and upper bound.

    Example:
        >>> [round(bound, 4) for bound in wilson_interval(90, 100)]
        [0.8256, 0.9448]
    """
    interval = stats.binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def proportion(count: int, total: int) -> dict:
    """Describe a fraction of independent examples.

    Args:
        count: Numerator.
        total: Denominator.

    Returns:
        `share` (the fraction), `count`, `total`, and the 95 % Wilson `interval`; for a total of 0, `share` and
        `interval` are None.

    Example:
        >>> proportion(90, 100)["share"]
        0.9
    """
    count, total = int(count), int(total)
    interval = list(wilson_interval(count, total)) if total else None
    return {"share": count / total if total else None, "count": count, "total": total, "interval": interval}


def clustered_interval(hits: np.ndarray, groups: np.ndarray, confidence: float = 0.95) -> list[float] | None:
    """Return the interval of a fraction whose examples come in groups, such as the clips of a speaker.

    A percentile bootstrap that draws whole groups (Davison and Hinkley 1997, section 3.8).

    Args:
        hits: Whether each example counts, shape `(examples,)`.
        groups: The group of each example, shape `(examples,)`.
        confidence: Coverage of the interval.

    Returns:
        The bounds; None with fewer than two groups.
    """
    table = (
        pd.DataFrame({"hit": np.asarray(hits, float), "group": groups}).groupby("group")["hit"].agg(["sum", "count"])
    )
    if len(table) < 2:
        return None
    drawn = np.random.default_rng(0).integers(len(table), size=(_NUM_DRAWS, len(table)))
    shares = table["sum"].to_numpy()[drawn].sum(axis=1) / table["count"].to_numpy()[drawn].sum(axis=1)
    tail = (1 - confidence) / 2
    return [float(bound) for bound in np.quantile(shares, [tail, 1 - tail])]


def format_proportion(value: dict) -> str:
    """Format the result of `proportion` as a line.

    Example:
        >>> format_proportion(proportion(90, 100))
        ' 90.0%  (82.6% to 94.5%, 90 of 100)'
    """
    low, high = value["interval"]
    return f"{value['share']:6.1%}  ({low:.1%} to {high:.1%}, {value['count']} of {value['total']})"


def caution(
    number: int,
    unit: str,
    interval: str = "",
    *,
    width: float = 0.0,
    fewest: int = _FEWEST_EXAMPLES,
) -> list[str]:
    """Say that a test is too small to compare models.

    Args:
        number: Number of independent examples.
        unit: What they are, in the plural.
        interval: The 95 % interval of the main metric, as text.
        width: Width of the interval of a fraction; more than 0.2 is too wide.
        fewest: Smallest number that is enough.

    Returns:
        One line for the console; none if the test is large enough.

    Example:
        >>> caution(12, "clips", "55.2% to 95.3%", width=0.401)
        ['too few clips to compare models: 12, 95 % interval 55.2% to 95.3%; test on more']
    """
    if number >= fewest and width <= _WIDEST_INTERVAL:
        return []
    known = f", 95 % interval {interval}" if interval else ""
    return [f"too few {unit} to compare models: {number}{known}; test on more"]


def pool_proportions(values: list[dict]) -> dict:
    """Pool the results of `proportion` for disjoint sets of examples.

    Example:
        >>> pool_proportions([proportion(1, 2), proportion(2, 2)])["share"]
        0.75
    """
    return proportion(sum(value["count"] for value in values), sum(value["total"] for value in values))


def classification(targets: np.ndarray, probabilities: np.ndarray, labels: tuple[str, ...]) -> dict:
    """Compute the metrics of a classifier.

    Args:
        targets: True class indices, shape `(examples,)`.
        probabilities: Shape `(examples, classes)`.
        labels: Names of the classes, in the order of the outputs.

    Returns:
        `accuracy`, its 95 % `accuracy_interval`, `num_examples`, `cross_entropy` in nats, as the Keras loss without
        label smoothing, and for each label `precision`, `recall`, `f1`, `auc` (one-vs-rest; None if undefined) and
        `support`.
    """
    predictions = probabilities.argmax(axis=1)
    correct = int((predictions == targets).sum())
    of_truth = probabilities[np.arange(len(targets)), targets].astype(np.float64)
    indices = np.arange(len(labels))
    scores = metrics.precision_recall_fscore_support(targets, predictions, labels=indices, zero_division=0.0)
    per_label = {}
    for index, label in enumerate(labels):
        truth = targets == index
        precision, recall, f1, support = (float(score[index]) for score in scores)
        auc = roc_auc(truth, probabilities[:, index])
        per_label[label] = {"precision": precision, "recall": recall, "f1": f1, "auc": auc, "support": int(support)}
    return {
        "accuracy": correct / len(targets),
        "accuracy_interval": list(wilson_interval(correct, len(targets))),
        "num_examples": len(targets),
        "cross_entropy": float(-np.log(np.clip(of_truth, _EPSILON, 1 - _EPSILON)).mean()),
        "labels": per_label,
    }


def confusion(targets: np.ndarray, predictions: np.ndarray, labels: tuple[str, ...]) -> pd.DataFrame:
    """Count predictions (columns) for each true label (rows).

    Example:
        >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), ("yes", "no")).to_numpy().tolist()
        [[1, 1], [0, 1]]
    """
    counts = metrics.confusion_matrix(targets, predictions, labels=np.arange(len(labels)))
    return pd.DataFrame(counts, pd.Index(labels, name="true"), pd.Index(labels, name="predicted"))


def roc(targets: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
    """Return the receiver operating characteristic of a score.

    Args:
        targets: Booleans, shape `(examples,)`; both values must occur.
        scores: Scores, higher for positive examples, shape `(examples,)`.

    Returns:
        A table `threshold`, `false_positive_rate`, `true_positive_rate`, ordered by decreasing threshold.
    """
    false_positive_rate, true_positive_rate, thresholds = metrics.roc_curve(targets, scores)
    return pd.DataFrame(
        {"threshold": thresholds, "false_positive_rate": false_positive_rate, "true_positive_rate": true_positive_rate}
    )


def roc_auc(targets: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the area under the receiver operating characteristic; None if all targets are equal.

    Example:
        >>> roc_auc(np.array([True, False, True]), np.array([0.9, 0.5, 0.4]))
        0.5
    """
    return float(metrics.roc_auc_score(targets, scores)) if 0 < targets.sum() < len(targets) else None

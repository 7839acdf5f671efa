"""Linear classifiers that are fitted in milliseconds to a few embeddings, as weights of a softmax layer.

The features are standardised, which the weights include. Every class counts the same, however many examples it has.

| name | classifier |
|---|---|
| `nearest_mean` | the nearest mean of a class |
| `ridge` | least squares with a penalty on the weights |
| `lda` | linear discriminant analysis, its covariance shrunk (Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004) |
| `logistic` | logistic regression |

The scores of most of them are no log probabilities. So they are divided by a temperature (Guo et al., "On calibration of
modern neural networks", 2017, arXiv 1706.04599), which has to be chosen on examples that were not fitted.
"""

from typing import NamedTuple

import numpy as np
from scipy import optimize, special
from sklearn.base import ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import StandardScaler

NAMES = ("nearest_mean", "ridge", "lda", "logistic")
# For standardised features; see kws/RESULTS.md.
_RIDGE_PENALTY, _LOGISTIC_INVERSE_PENALTY = 100.0, 0.01
_LOG_TEMPERATURES = (-6.0, 12.0)
_EPSILON = 1e-7


class Linear(NamedTuple):
    """A linear classifier.

    Attributes:
        kernel: Shape `(size, classes)`.
        bias: Shape `(classes,)`; minus infinity for a class without examples.
    """

    kernel: np.ndarray
    bias: np.ndarray

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return the scores `(examples, classes)` of features `(examples, size)`; the largest is that of the class."""
        return features @ self.kernel + self.bias

    def weights(self, temperature: float) -> list[np.ndarray]:
        """Return the float32 weights of a softmax `Dense` layer whose scores are divided by a temperature."""
        return [(self.kernel / temperature).astype(np.float32), (self.bias / temperature).astype(np.float32)]


def fit(name: str, features: np.ndarray, targets: np.ndarray, num_classes: int) -> Linear:
    """Fit a classifier.

    Args:
        name: One of `NAMES`.
        features: Shape `(examples, size)`.
        targets: Class indices, shape `(examples,)`, of at least two classes.
        num_classes: Number of classes, of which some may have no examples.
    """
    scaler = StandardScaler()
    standard = scaler.fit_transform(np.asarray(features, np.float64))
    classifier = estimator(name).fit(standard, targets)
    kernel, bias = _linear(classifier)
    kernel = kernel / scaler.scale_[:, np.newaxis]
    whole = Linear(np.zeros((features.shape[1], num_classes)), np.full(num_classes, -np.inf))
    whole.kernel[:, classifier.classes_] = kernel
    whole.bias[classifier.classes_] = bias - scaler.mean_ @ kernel
    return whole


def estimator(name: str) -> ClassifierMixin:
    """Return the classifier of scikit-learn that takes standardised features."""
    return {
        "nearest_mean": NearestCentroid,
        "ridge": lambda: RidgeClassifier(_RIDGE_PENALTY, class_weight="balanced"),
        "lda": lambda: _EvenDiscriminant(solver="lsqr", shrinkage="auto"),
        "logistic": lambda: LogisticRegression(C=_LOGISTIC_INVERSE_PENALTY, class_weight="balanced", max_iter=1000),
    }[name]()


class _EvenDiscriminant(LinearDiscriminantAnalysis):
    """Takes all classes as equally likely, which scikit-learn can do only for a known number of them."""

    def fit(self, features: np.ndarray, targets: np.ndarray) -> "_EvenDiscriminant":
        """Fit as the base class does."""
        number = len(np.unique(targets))
        self.priors = np.full(number, 1 / number)
        return super().fit(features, targets)


def _linear(classifier: ClassifierMixin) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel `(size, classes)` and the bias of a fitted classifier."""
    if isinstance(classifier, NearestCentroid):
        # Half the squared distance is |x|²/2 - x·m + |m|²/2, and the first term is that of all classes.
        means = classifier.centroids_
        return means.T, -0.5 * np.square(means).sum(axis=1)
    kernel, bias = np.atleast_2d(classifier.coef_).T, np.atleast_1d(classifier.intercept_)
    if kernel.shape[1] == 1:
        # Of two classes, scikit-learn has one score, for the second: the difference of these two.
        return np.hstack([-kernel, kernel]) / 2, np.concatenate([-bias, bias]) / 2
    return kernel, bias


def probabilities(scores: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return the softmax of scores `(examples, classes)` that are divided by a temperature."""
    return special.softmax(scores / temperature, axis=1)


def cross_entropy(scores: np.ndarray, targets: np.ndarray, temperature: float = 1.0) -> float:
    """Return the mean log loss in nats; probabilities are clipped as in `common.reporting.metrics`."""
    of_truth = probabilities(scores, temperature)[np.arange(len(targets)), targets]
    return float(-np.log(np.clip(of_truth, _EPSILON, 1 - _EPSILON)).mean())


def temperature(scores: np.ndarray, targets: np.ndarray) -> float:
    """Return the temperature with the smallest log loss.

    Args:
        scores: Shape `(examples, classes)`, of examples that were not fitted.
        targets: Class indices, shape `(examples,)`.
    """
    # A pass over a grid first, since clipping makes the loss flat at both ends.
    grid = np.linspace(*_LOG_TEMPERATURES, 73)
    best = int(np.argmin([cross_entropy(scores, targets, np.exp(value)) for value in grid]))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(
        lambda value: cross_entropy(scores, targets, np.exp(value)), bounds=bounds, method="bounded"
    )
    return float(np.exp(found.x))

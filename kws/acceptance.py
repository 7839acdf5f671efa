"""Score and threshold that decide whether a clip is accepted as a keyword.

The score of a clip is the probability of its likeliest keyword; other classes are ignored. A clip is accepted if its
score is at least the threshold, else it is rejected. The same rule works with and without the class `_unknown_`. For a
closed set it is the maximum softmax probability (Hendrycks and Gimpel, arXiv:1610.02136).

The operating point of a run is the first of these that there is:

1. a threshold that the user gives;
2. `calibration.json` in the run directory, from `kws.calibrate`;
3. `threshold.json`: the largest threshold that accepts the fraction `target_recall` of the validation keywords, whether
   named correctly or not. Training chooses it.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import files
from common.errors import UserError
from common.log import logger
from kws.config import SILENCE, UNKNOWN

FILE = "threshold.json"
CALIBRATION = "calibration.json"
RULE = "a clip is accepted if the probability of its likeliest keyword is at least the threshold"
_WITHOUT_FILE = 0.7  # the fixed threshold of versions that did not store one


def is_keyword(labels: tuple[str, ...]) -> np.ndarray:
    """Whether each label is a keyword, not silence or unknown, shape `(labels,)`."""
    return np.array([label not in (SILENCE, UNKNOWN) for label in labels])


def keyword_scores(probabilities: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """Return the probability of each clip's likeliest keyword, shape `(clips,)`, from `(clips, labels)`."""
    return probabilities[:, is_keyword(labels)].max(axis=1)


def choose_threshold(scores: np.ndarray, keep: float) -> float:
    """Return the largest threshold that accepts at least the fraction `keep` of the scores.

    Args:
        scores: Scores of keywords, shape `(clips,)`, at least one.
        keep: Fraction to accept, in (0, 1].

    Example:
        >>> choose_threshold(np.array([0.2, 0.9, 0.8, 0.7]), 0.75)
        0.7
    """
    # Rounding errors can lift a product such as 0.95 * 20 slightly above the whole number.
    num_kept = int(np.ceil(keep * len(scores) - 1e-9))
    return float(np.sort(scores)[::-1][max(num_kept, 1) - 1])


class OperatingPoint(NamedTuple):
    """The smallest probability at which a keyword is accepted, and where it is from."""

    threshold: float
    source: str


def operating_point(run_dir: str | Path, threshold: float | None = None) -> OperatingPoint:
    """Return the operating point of a run; older runs without any get 0.7, which is logged.

    Args:
        run_dir: The run directory.
        threshold: The threshold that the user gives, if any.

    Raises:
        UserError: A file is damaged.
    """
    if threshold is not None:
        return OperatingPoint(threshold, "given")
    folder = Path(run_dir)
    for name, source in ((CALIBRATION, "calibration"), (FILE, "validation")):
        hint = f"delete it to use {'the threshold of the training' if name == CALIBRATION else _WITHOUT_FILE}"
        try:
            value = files.read_json(folder / name, hint)["threshold"]
            if isinstance(value, bool) or not 0 <= value <= 1:
                raise ValueError(f"the threshold is {value}")
            return OperatingPoint(float(value), source)
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise UserError(f"cannot read {folder / name}: {error}; {hint}") from error
    logger.info("%s does not exist; using the threshold %g", folder / FILE, _WITHOUT_FILE)
    return OperatingPoint(_WITHOUT_FILE, "default")

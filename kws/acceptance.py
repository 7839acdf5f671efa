"""What answers count: the score of a clip, and the threshold that it has to reach.

The score of a clip is the probability of its likeliest keyword, whatever the other classes say; the clip is accepted
where the score reaches the threshold, else rejected. So one rule serves models with and without the class `_unknown_`
(of a closed set this is the maximum softmax probability; Hendrycks and Gimpel, arXiv:1610.02136).

The threshold is the largest that accepts a share (`target_recall`) of the validation split's keywords, rightly named or
not. It is chosen after training and stored in the run directory's `threshold.json`.
"""

import logging
from pathlib import Path

import numpy as np

from common import files
from common.errors import UserError
from kws.config import SILENCE, UNKNOWN

FILE = "threshold.json"
RULE = "a clip is accepted where the probability of its likeliest keyword is at least the threshold"
_WITHOUT_FILE = 0.7  # what timelines used before thresholds were stored


def is_keyword(labels: tuple[str, ...]) -> np.ndarray:
    """Whether each label is a keyword rather than silence or unknown, shape `(labels,)`."""
    return np.array([label not in (SILENCE, UNKNOWN) for label in labels])


def keyword_scores(probabilities: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
    """Return the probability of each clip's likeliest keyword, shape `(clips,)`, from `(clips, labels)`."""
    return probabilities[:, is_keyword(labels)].max(axis=1)


def choose_threshold(scores: np.ndarray, keep: float) -> float:
    """Return the largest threshold that accepts at least the share `keep` of scores.

    Args:
        scores: Of keywords, shape `(clips,)`, at least one.
        keep: Share to accept, over 0 and up to 1.

    Example:
        >>> choose_threshold(np.array([0.2, 0.9, 0.8, 0.7]), 0.75)
        0.7
    """
    # A product such as 0.95 * 20 may come out a little over the whole number that it is.
    num_kept = int(np.ceil(keep * len(scores) - 1e-9))
    return float(np.sort(scores)[::-1][max(num_kept, 1) - 1])


def load_threshold(run_dir: str | Path) -> float:
    """Read the threshold of a run; an older run without one gets 0.7, and a line says so.

    Raises:
        UserError: The file is damaged.
    """
    path = Path(run_dir) / FILE
    way_out = f"delete it to have {_WITHOUT_FILE:g} taken"
    try:
        threshold = files.read_json(path, way_out)["threshold"]
        if not 0 <= threshold <= 1:
            raise ValueError(f"the threshold is {threshold}")
        return float(threshold)
    except FileNotFoundError:
        logging.info("%s does not exist, so the threshold is %g", path, _WITHOUT_FILE)
        return _WITHOUT_FILE
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"cannot read {path}: {error}; {way_out}") from error

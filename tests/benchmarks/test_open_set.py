import numpy as np
import pandas as pd
import pytest

from benchmarks import open_set
from kws.config import UNKNOWN

LABELS = ("on", "off", UNKNOWN)
CENTRES = np.array([[4.0, 0, 0], [0, 4.0, 0], [-3.0, -3.0, 0]])


def clips_at(centre, label, rng):
    embeddings = np.asarray(centre) + rng.normal(0, 0.3, (40, 3))
    return open_set.Outputs(embeddings, embeddings @ CENTRES.T, np.full(40, label))


@pytest.fixture
def training(rng):
    parts = [clips_at(centre, label, rng) for centre, label in zip(CENTRES, LABELS, strict=True)]
    return open_set.Outputs(*map(np.concatenate, zip(*parts, strict=True)))


def test_every_score_is_higher_for_a_keyword_than_for_the_class_unknown(training, rng):
    for name, score in open_set.scores(training, LABELS).items():
        on, other = score(clips_at(CENTRES[0], "on", rng)), score(clips_at(CENTRES[2], UNKNOWN, rng))
        assert on.shape == (40,)
        assert on.min() > other.max(), name


def test_a_distance_tells_what_a_probability_cannot(training, rng):
    """A clip far beyond a keyword has a probability of one, and a large distance."""
    beyond, on = clips_at((12, 0, 0), "other", rng), clips_at(CENTRES[0], "on", rng)
    by_name = open_set.scores(training, LABELS)
    assert by_name["keyword probability"](beyond).min() >= by_name["keyword probability"](on).min()
    assert by_name["Mahalanobis"](beyond).max() < by_name["Mahalanobis"](on).min()


def test_the_threshold_keeps_the_keywords_of_each_fold():
    values = {"keyword": np.arange(100.0), UNKNOWN: np.array([2.0, 6.0, 50.0, 1.0])}
    rows = pd.concat(
        pd.DataFrame({"fold": fold, "score": "logit", "group": group, "value": shift + of_group})
        for fold, shift in (("fold_0", 0.0), ("fold_1", 1000.0))
        for group, of_group in values.items()
    )
    (row,) = open_set.summarize(rows).to_dict("records")
    assert row == {"score": "logit", f"{UNKNOWN} rejected": "50.0%", "AUC": "0.8475"}

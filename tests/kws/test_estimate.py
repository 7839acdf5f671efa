"""What is said about the accuracy of a head that was fitted to a few recordings."""

import numpy as np
import pandas as pd
import pytest

from common.reporting import metrics
from kws import estimate, evaluation, few
from kws.config import VARIANTS

LABELS = ("high", "low")


def scores_of(right: int, total: int, how: str) -> few.LeftOutScores:
    """Scores of which some are right."""
    targets = np.arange(total) % 2
    wrong = np.arange(total) >= right
    return few.LeftOutScores(
        how, np.arange(total), targets, 3.0 * np.eye(2)[np.where(wrong, 1 - targets, targets)], 2.0
    )


@pytest.fixture
def chosen():
    """Ten of twelve recordings were left out, of which eight are right."""
    out = scores_of(8, 10, "leave one speaker out")
    table = pd.DataFrame({"path": [f"/{number}.wav" for number in range(12)], "speaker": "anna"})
    compared = {"ridge": out, "lda": scores_of(7, 10, "leave one speaker out")}
    return few.Chosen("ridge", None, None, None, table, out, compared)


def test_the_estimate_is_of_what_was_left_out(chosen):
    found = estimate.summary(chosen)
    assert found["accuracy"] == 0.8 and found["num_examples"] == 10 and found["num_never_left_out"] == 2
    assert found["accuracy_interval"] == list(metrics.wilson_interval(8, 10))
    assert found["how"] == "leave one speaker out" and found["head"] == "ridge"
    assert {name: one["accuracy"] for name, one in found["heads"].items()} == {"ridge": 0.8, "lda": 0.7}
    # Eight are right and two are wrong with the same score, 3 / 2.
    expected = -np.log(1 / (1 + np.exp([-1.5] * 8 + [1.5] * 2))).mean()
    assert found["heads"]["ridge"]["cross_entropy"] == pytest.approx(expected)


def test_the_console_says_how_it_was_estimated(chosen):
    config = VARIANTS["few"].__class__(**{**vars(VARIANTS["few"]), "words": LABELS})
    figures, predictions = evaluation.evaluate_left_out(config, chosen.left_out, chosen.table, 0.5)
    assert figures["accuracy"] == 0.8 and predictions.files == tuple(chosen.table["path"][:10])
    text = evaluation.format_table(figures | {"estimate": estimate.summary(chosen)})
    assert "accuracy 80.00%" in text and "head ridge; the others: lda 70.0%" in text
    assert "estimated from the recordings that train: leave one speaker out" in text
    assert "stored threshold, chosen for few recordings: 0.500" in text
    assert "2 recordings were never left out" in text


def test_beside_a_test_both_are_shown(chosen):
    lines = estimate.format_lines({"protocol": {"split": "test"}, "estimate": estimate.summary(chosen)})
    assert any(
        "leave one speaker out: accuracy 80.0%  (95 % interval 49.0% to 94.3%, 10 recordings)" in one for one in lines
    )


def test_what_cannot_be_estimated_is_said_and_other_runs_say_nothing(chosen):
    alone = chosen._replace(left_out=scores_of(0, 0, ""))
    assert "accuracy" not in estimate.summary(alone)
    text = evaluation.format_table({"estimate": estimate.summary(alone)})
    assert "cannot be estimated from one recording of each word" in text
    assert estimate.format_lines({"protocol": {"split": "test"}}) == []

import numpy as np
import pytest

from common.errors import UserError
from kws import acceptance


@pytest.mark.parametrize(("keep", "expected"), [(1.0, 0.05), (0.95, 0.1), (0.951, 0.05), (0.5, 0.55), (0.01, 1.0)])
def test_the_threshold_is_the_largest_that_keeps_the_share(keep, expected):
    scores = np.random.default_rng(0).permutation(np.arange(1, 21) / 20)
    threshold = acceptance.choose_threshold(scores, keep)
    assert threshold == expected
    assert (scores >= threshold).mean() >= keep
    assert (scores > threshold).mean() < keep


def test_a_run_without_a_stored_threshold_still_has_one(tmp_path, caplog):
    caplog.set_level("INFO")
    assert acceptance.operating_point(tmp_path).threshold == 0.7
    assert "threshold.json does not exist; using the threshold 0.7" in caplog.text


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"threshold": "high"}', '{"threshold": 1.5}'])
def test_a_damaged_threshold_is_refused(tmp_path, content):
    (tmp_path / "threshold.json").write_text(content)
    with pytest.raises(UserError, match="cannot read .*threshold.json.*delete it"):
        acceptance.operating_point(tmp_path)


def test_the_classes_unknown_and_silence_are_rejected_by_the_keywords_scores():
    labels = ("yes", "no", "_silence_", "_unknown_")
    probabilities = np.array([[0.3, 0.2, 0.1, 0.4], [0.1, 0.0, 0.9, 0.0]])
    np.testing.assert_array_equal(acceptance.keyword_scores(probabilities, labels), [0.3, 0.1])


def test_a_given_threshold_comes_before_the_calibration_and_that_before_validation(tmp_path):
    (tmp_path / "threshold.json").write_text('{"threshold": 0.3}')
    assert acceptance.operating_point(tmp_path) == (0.3, "validation")
    (tmp_path / "calibration.json").write_text('{"threshold": 0.6}')
    assert acceptance.operating_point(tmp_path) == (0.6, "calibration")
    assert acceptance.operating_point(tmp_path, 0.0) == (0.0, "given")
    (tmp_path / "calibration.json").write_text('{"threshold": true}')
    with pytest.raises(UserError, match="calibration.json.*use the threshold of the training"):
        acceptance.operating_point(tmp_path)

import numpy as np

from common.reporting import mistakes


def test_the_most_confident_mistake_is_first():
    probabilities = np.array([0.5, 0.9, 0.5])
    table = mistakes.table(["a", "b", "c"], np.array([1, 2, 3]), np.array([2, 1, 1]), probabilities, more=np.arange(3))
    assert list(table) == ["file", "true", "predicted", "probability", "more"]
    assert table["file"].tolist() == ["b", "a", "c"]
    assert table["true"].tolist() == [2, 1, 3] and table["more"].tolist() == [1, 0, 2]


def test_without_mistakes_the_table_has_its_columns():
    none = np.array([])
    assert list(mistakes.table([], none, none, none)) == ["file", "true", "predicted", "probability"]

"""Arguments of Python callers: accepted, or refused in one line that names them."""

from pathlib import Path

import numpy as np
import pytest

from common import arguments
from common.errors import UserError


def test_what_fits_is_returned_as_its_type():
    assert arguments.number("threshold", np.float32(0.5), 0, 1) == 0.5
    assert arguments.whole_number("epoch", np.int64(3), 1, 9) == 3
    assert arguments.path("run_dir", "~/a") == Path.home() / "a"
    assert arguments.one_of("task", "kws", ("kws", "counting")) == "kws"
    arguments.keywords("kws", {"threshold": 1}, lambda run_dir, threshold=None: None)


@pytest.mark.parametrize("value", ["0.5", None, True, float("nan"), 2, -0.1, 1j])
def test_what_is_no_number_of_the_range_is_refused(value):
    with pytest.raises(UserError, match="threshold: expected a number from 0 to 1, got"):
        arguments.number("threshold", value, 0, 1)


@pytest.mark.parametrize("value", ["1", 1.0, True, 0, 10])
def test_what_is_no_whole_number_of_the_range_is_refused(value):
    with pytest.raises(UserError, match="epoch: expected a whole number from 1 to 9, got"):
        arguments.whole_number("epoch", value, 1, 9)


@pytest.mark.parametrize("value", [b"/tmp/x", 11, None, ["a"]])
def test_what_is_no_path_is_refused(value):
    with pytest.raises(UserError, match="run_dir: expected a path, got"):
        arguments.path("run_dir", value)


def test_other_names_are_refused_with_the_nearest():
    with pytest.raises(UserError, match="task: expected one of kws, counting, got 'kvs'. Did you mean \"kws\""):
        arguments.one_of("task", "kvs", ("kws", "counting"))
    with pytest.raises(UserError, match="task: expected one of"):
        arguments.one_of("task", ["kws"], ("kws", "counting"))
    with pytest.raises(UserError, match='treshold: kws has no such option, only threshold. Did you mean "threshold"'):
        arguments.keywords("kws", {"treshold": 1}, lambda run_dir, threshold=None: None)

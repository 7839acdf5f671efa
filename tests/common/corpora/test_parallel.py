"""Work in several processes."""

import os

import pytest

from common.corpora import parallel
from common.errors import UserError


def _tell_process(item):
    if item == "bad":
        raise UserError("a bad item")
    return os.getpid(), item


def test_few_items_stay_in_this_process():
    assert list(parallel.stripes(_tell_process, [1, 2, 3], 4)) == [(os.getpid(), item) for item in (1, 2, 3)]
    assert list(parallel.stripes(_tell_process, [], 4)) == []


def test_many_items_are_dealt_out_in_turn_and_come_back_in_order():
    done = list(parallel.stripes(_tell_process, list(range(51)), 4))
    assert [item for _, item in done] == list(range(51))
    processes = [process for process, _ in done]
    assert len(set(processes[::2])) == len(set(processes[1::2])) == 1
    assert len({processes[0], processes[1], os.getpid()}) == 3


def test_what_goes_wrong_in_another_process_is_told_here():
    with pytest.raises(UserError, match="^a bad item$"):
        list(parallel.stripes(_tell_process, ["good", "bad"], 2))

import hashlib
import logging
import os
import time

import pandas as pd
import pytest

from common.data import decoded
from common.errors import UserError


def test_a_key_is_the_hash_of_settings_files_and_what_is_wanted_of_them(tmp_path):
    """Written out, so that corpora which earlier versions decoded are found again."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, 2_000_000_003))
    text = f"[2, 16000, null]{path}|0.25|nan|5|2000000003\ngone.wav|0.0|1.5|missing\n"
    rows = [(str(path), 0.25, float("nan")), ("gone.wav", 0.0, 1.5)]
    assert decoded.key([2, 16000, None], rows) == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_key_changes_with_the_settings_the_file_and_what_is_wanted_of_it(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"12345")
    first = decoded.key([1], [(path, 0.0)])
    assert first == decoded.key([1], [(path, 0.0)])
    assert len({first, decoded.key([2], [(path, 0.0)]), decoded.key([1], [(path, 0.5)])}) == 3
    path.write_bytes(b"123456")
    assert decoded.key([1], [(path, 0.0)]) != first


def test_threads_give_what_the_function_returns():
    assert sorted(decoded.in_threads(lambda one, other: one * other, [(n, n) for n in range(20)])) == [
        n * n for n in range(20)
    ]


def test_the_first_exception_ends_the_work():
    begun = []

    def work(number):
        begun.append(number)
        if number == 0:
            raise UserError("no more")
        time.sleep(0.05)

    tasks = [(number,) for number in range(50 * decoded.NUM_PARALLEL)]
    with pytest.raises(UserError, match="no more"):
        list(decoded.in_threads(work, tasks))
    assert len(begun) < len(tasks)


@pytest.mark.parametrize(
    ("num_rejected", "num_all", "max_rejected"), [(2, 10, 0.1), (1, 10, 0.0), (2, 2, 1.0), (1, 1, 0.5)]
)
def test_too_many_rejected_are_refused_and_all_of_them_always(num_rejected, num_all, max_rejected):
    rejected = pd.DataFrame({"path": "a.wav", "reason": ["a.wav is empty"] + ["other"] * (num_rejected - 1)})
    with pytest.raises(UserError, match=f"{num_rejected} of {num_all} tracks cannot .*; first error: a.wav is empty"):
        decoded.check_rejected(rejected, num_all, max_rejected, "tracks")


def test_a_few_rejected_are_told_and_none_are_not(caplog):
    rejected = pd.DataFrame({"path": ["a.wav"], "reason": ["a.wav is empty"]})
    with caplog.at_level(logging.WARNING):
        decoded.check_rejected(rejected.iloc[:0], 10, 0.05)
        assert not caplog.records
        decoded.check_rejected(rejected, 10, 0.05, where="list.csv")
    assert caplog.messages == ["1 of 10 recordings cannot be used (listed in list.csv); first error: a.wav is empty"]

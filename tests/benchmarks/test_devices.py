import os

import keras
import pytest

from benchmarks import devices
from common.training.precision import Candidate

PLAIN = Candidate("float32", False)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    devices.write_corpora(folder)
    yield devices.Settings(folder, "tiny", 2, 1)
    keras.config.set_dtype_policy("float32")


def test_every_task_has_a_row_for_each_strategy_precision_and_compiler():
    cells = devices.cells(["kws", "generation"])
    assert len(set(cells)) == 2 * 2 * 3 * 2
    assert {cell.candidate.precision for cell in cells} == {"float32", "mixed_bfloat16", "mixed_float16"}


@pytest.mark.slow
@pytest.mark.parametrize("task", devices.TASKS)
def test_every_task_trains(settings, task):
    row = devices.measure(devices.Cell(task, "single", Candidate("mixed_bfloat16", False)), settings)
    assert row["error"] == ""
    assert row["devices"] == "1 CPU"
    assert row["examples/s"] > 0


def test_an_error_is_a_row_with_its_first_line(settings):
    row = devices.measure(devices.Cell("kws", "mirrored", PLAIN), settings)
    assert row["error"].startswith("UserError: strategy=mirrored needs several devices")
    assert row["loss"] is None


def die_at_bfloat16(sender, group, settings):
    for cell in group:
        if cell.candidate.precision == "mixed_bfloat16":
            os._exit(3)
        sender.send({"examples/s": 1.0, "loss": 0.5, "error": ""})


@pytest.mark.slow
def test_a_crash_takes_only_its_own_row_down(settings):
    candidates = [Candidate(precision, False) for precision in ("float32", "mixed_bfloat16", "mixed_float16")]
    rows = devices.run([devices.Cell("kws", "single", one) for one in candidates], settings, die_at_bfloat16)
    assert [row["precision"] for row in rows] == [one.precision for one in candidates]
    assert [row["error"] for row in rows] == ["", "the process ended with code 3", ""]

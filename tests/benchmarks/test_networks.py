import pandas as pd
import pytest

pytest.importorskip("torch", reason="PyTorch is in the environment of make bench")

from benchmarks.networks import markdown, rows_of  # noqa: E402


def test_a_row_has_median_spread_and_ratio_of_its_route():
    rates = pd.DataFrame({"ours": [100.0, 300.0, 200.0], "theirs": [50.0, 50.0, 80.0]})
    ours, theirs = rows_of("net, training", "examples/s", rates, rates["ours"].median() / rates.median())
    assert (ours["median"], ours["low"], ours["high"], ours["ratio"]) == ("200", "100", "300", "1.00")
    assert (theirs["route"], theirs["median"], theirs["ratio"]) == ("theirs", "50.000", "4.00")


def test_a_table_is_laid_out_as_markdown():
    table = pd.DataFrame({"route": ["ours"], "ratio": ["1.00"]})
    assert markdown(table) == "| route | ratio |\n| --- | --- |\n| ours | 1.00 |\n"

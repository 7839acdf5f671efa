import pandas as pd

from benchmarks import agreement


def table_of(**figures):
    """Of each way three trainings of `counting`, as fast in seconds as it has letters."""
    rows = [
        ("counting", way, seed, figure, float(len(way)))
        for way, values in figures.items()
        for seed, figure in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["task", "way", "seed", "figure", "examples_per_second"])


def test_what_differs_by_more_than_the_seeds_do_is_told():
    found = agreement.compare(table_of(single=[0.70, 0.72, 0.71], XLA=[0.72, 0.70, 0.715], workers=[0.60, 0.61, 0.62]))
    assert found["within noise"].tolist()[1:] == ["yes", "no"]
    assert found["difference"].iloc[2].startswith("-0.1 (")
    assert found["times as fast"].tolist()[1:] == [0.5, 1.17]
    assert pd.isna(found["difference"].iloc[0])


def test_a_way_that_is_none_is_one_line(capsys):
    assert agreement.app.run(agreement.main, agreement.define_flags, ["--ways=single,fast"]) == 2
    assert "--ways: expected some of single" in capsys.readouterr().err

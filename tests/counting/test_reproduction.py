import json

import numpy as np
import pandas as pd
import pytest

from common.cli import app
from counting import reproduce, reproduction


def run(*arguments):
    return app.run(reproduce.main, reproduce.define_flags, list(map(str, arguments)))


@pytest.mark.slow
def test_two_networks_stand_beside_the_published_figures(voices_dir, shards_dir, tmp_path, capsys):
    flags = ["--corpus=folder", f"--data_dir={voices_dir}", f"--shards_dir={shards_dir}", f"--output_dir={tmp_path}"]
    sizes = ["--epochs=1", "--epoch_examples=64", "--validation_mixtures=30", "--test_mixtures=33"]
    assert run(*flags, *sizes, "--quick", "--networks=m3,cnn_2d_1") == 0
    table = pd.read_csv(tmp_path / "table.csv", index_col="network")
    assert table["parameters"].tolist() == table["published_parameters"].tolist() == [5923, 483]
    assert table.loc["m3", "published_val_accuracy"] == 0.7395
    assert table[["accuracy", "val_accuracy", "test_accuracy", "minutes"]].notna().all().all()
    assert "| M3 | published | 5,923 | 0.573, 74.89 | 0.631, 73.95 |" in (tmp_path / "table.md").read_text()
    assert "33 mixtures of speakers not in training" in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert [row["network"] for row in report["rows"]] == ["m3", "cnn_2d_1"]
    for name in ("curves.png", "cuts.png"):
        assert (tmp_path / name).stat().st_size > 0
    assert run(*flags, *sizes, "--quick", "--networks=m3") == 0  # and trains nothing again


def test_the_best_of_each_kind_are_compared():
    measured = {name: {"test_accuracy": value} for name, value in (("m3", 0.6), ("m5", 0.7), ("cnn_2d_2", 0.65))}
    assert reproduction.best_of_each_kind(measured) == ["m5", "cnn_2d_2"]
    assert reproduction.best_of_each_kind({"m3": {"test_accuracy": 0.5}}) == ["m3"]


def test_published_figures_are_complete():
    assert reproduction.PUBLISHED["parameters"].tolist()[:4] == [5923, 37507, 449059, 924643]
    assert np.isnan(reproduction.PUBLISHED.loc["m34_res", "parameters"])


@pytest.mark.parametrize("names", ["m4", ""])
def test_an_unknown_network_is_one_line(names, capsys):
    assert run(f"--networks={names}") == 2
    assert "--networks: expected any of m3, m5" in capsys.readouterr().err

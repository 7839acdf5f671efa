"""The table of encoders, on two tiny variants of the whistles."""

from pathlib import Path

import pandas as pd
import pytest

from common import files
from common.cli import app
from kws import compare, comparison
from kws.config import MODELS, VARIANTS


def run(*arguments):
    return app.run(compare.main, compare.define_flags, list(map(str, arguments)))


@pytest.fixture(scope="module")
def flags(corpus_dir, shards_dir, tmp_path_factory):
    corpus = ["--corpus=folder", f"--data_dir={corpus_dir}", f"--shards_dir={shards_dir}"]
    recipe = ["--variants=tiny,embedding", "--epochs=2", "--batch_size=8", "--warmup_epochs=0"]
    return [*corpus, *recipe, f"--output_dir={tmp_path_factory.mktemp('compare')}"]


@pytest.fixture(scope="module")
def table(flags):
    """The table as the command leaves it."""
    assert run(*flags) == 0
    folder = Path(flags[-1].removeprefix("--output_dir="))
    return folder, pd.read_csv(folder / "table.csv")


@pytest.mark.slow
def test_every_row_is_measured(table):
    folder, rows = table
    assert rows["variant"].tolist() == ["tiny", "embedding"]
    assert rows["network"].tolist() == ["report_cnn", "tiny, frozen"]
    assert rows.notna().all(axis=None)
    for name in ("accuracy", "parameters", "litert_bytes", "ms_per_clip", "train_seconds", "examples_per_second"):
        assert (rows[name] > 0).all(), name
    assert (rows["accuracy_low"] < rows["accuracy"]).all()
    assert rows["epochs"].tolist() == [2, 2]
    assert (rows[["saved_model_difference", "litert_difference"]] <= 1e-4).all(axis=None)


@pytest.mark.slow
def test_the_page_has_a_line_for_each_and_the_most_accurate_first(table):
    folder, rows = table
    lines = [line for line in (folder / "table.md").read_text().splitlines() if line.startswith("| ")][1:]
    best = rows.sort_values("accuracy", ascending=False, kind="stable").iloc[0]
    assert len(lines) == 2
    assert lines[0].startswith(f"| {best['variant']} | {best['network']} | {best['accuracy']:.1%} |")
    assert f"{best['parameters']:,}" in lines[0]


@pytest.mark.slow
def test_the_same_command_again_trains_nothing(table, flags):
    folder, rows = table
    assert run(*flags) == 0
    again = pd.read_csv(folder / "table.csv")
    trained = [name for name in rows if name != "ms_per_clip"]
    pd.testing.assert_frame_equal(again[trained], rows[trained])


def test_a_litert_front_end_counts_once_for_each_window(tmp_path, monkeypatch):
    reports = {"head": {"embedding": {"file": "embedding.tflite", "window_starts": [0, 5, 9]}}, "whole": {}}
    for name, report in reports.items():
        files.write_json(tmp_path / name / "report.json", report)
    seconds = {"model.tflite": 1.0, "embedding.tflite": 10.0}
    monkeypatch.setattr(
        comparison.litert, "time_files", lambda paths, rounds: {key: seconds[path.name] for key, path in paths.items()}
    )
    assert comparison.time_clips({name: tmp_path / name for name in reports}) == {"head": 31.0, "whole": 1.0}


def test_every_encoder_has_a_variant_of_its_name():
    assert {name: VARIANTS[name].model for name in MODELS} == {name: name for name in MODELS}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--variants=res_cn"], 'Did you mean "res_cnn"?'),
        (["--model=m5"], "--model: each variant sets its own"),
        (["--variants=embedding"], "--variants=embedding alone needs --embedding"),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments, expected, capsys, tmp_path):
    assert run(*arguments, f"--output_dir={tmp_path}") == 2
    assert expected in capsys.readouterr().err

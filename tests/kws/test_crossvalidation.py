import json
import shutil

import pandas as pd
import pytest

from benchmarks.example_corpora.whistles import write_words
from common.cli import app
from kws import crossvalidate


@pytest.fixture(scope="module")
def folds(tmp_path_factory, shards_dir):
    """Three folds of two whistles, with three other words, trained for an epoch."""
    root = write_words(tmp_path_factory.mktemp("folds") / "words", ("low", "high", "rising"), num_clips=16)
    for word in ("trill", "warble"):
        shutil.copytree(root / "rising", root / word)
    flags = ["--variant=tiny", "--words=low,high", "--unknown", "--corpus=folder", f"--data_dir={root}"]
    flags += [f"--shards_dir={shards_dir}", "--epochs=1", "--batch_size=8", "--num_folds=3"]
    return [*flags, f"--output_dir={root.parent / 'runs'}"], root.parent / "runs"


def run(*flags):
    return app.run(crossvalidate.main, crossvalidate.define_flags, list(flags))


@pytest.mark.slow
def test_every_clip_and_every_other_word_is_tested_once(folds, capsys):
    flags, folder = folds
    assert run(*flags) == 0
    shown = capsys.readouterr().out
    summary = json.loads((folder / "folds.json").read_text())
    trained = [json.loads((folder / f"fold_{fold}" / "metrics.json").read_text()) for fold in range(3)]
    rows = pd.read_csv(folder / "folds.csv")
    assert rows["fold"].tolist() == [0, 1, 2]
    assert rows["accuracy"].tolist() == [figures["accuracy"] for figures in trained]
    assert rows["speakers"].sum() == 8
    assert summary["accuracy"]["total"] == sum(figures["num_examples"] for figures in trained)
    correct = sum(sum(row[index] for index, row in enumerate(figures["confusion"])) for figures in trained)
    assert summary["accuracy"]["count"] == correct
    assert summary["rejection"]["operating_point"]["rejected"]["unseen words, all speakers"]["total"] == 3 * 16
    unseen = [json.loads((folder / f"fold_{fold}" / "config.json").read_text()) for fold in range(3)]
    assert sorted(item["config"]["unseen_words"] for item in unseen) == [["rising"], ["trill"], ["warble"]]
    assert "all folds: accuracy" in shown
    assert "unseen words, all speakers rejected" in shown


@pytest.mark.slow
def test_the_same_command_again_trains_nothing(folds):
    flags, folder = folds
    assert run(*flags) == 0  # Another process may have run the test above.
    before = [(folder / f"fold_{fold}" / "model.keras").stat().st_mtime_ns for fold in range(3)]
    (folder / "folds.csv").unlink()
    assert run(*flags) == 0
    assert [(folder / f"fold_{fold}" / "model.keras").stat().st_mtime_ns for fold in range(3)] == before
    assert (folder / "folds.csv").exists()


@pytest.mark.parametrize("flag", ["--fold=1", "--split_rule=official", "--unseen_words=trill"])
def test_what_cross_validation_decides_is_refused(folds, flag, capsys):
    assert run(*folds[0], flag) == 2
    assert "cross-validation sets it for each fold" in capsys.readouterr().err

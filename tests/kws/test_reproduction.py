import json

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from common import audio
from common.cli import app
from kws import published, reproduce, reproduction
from kws.config import COMMAND_WORDS, VARIANTS
from kws.models import build_model

RATE = 16000


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory, shards_dir):
    """The first row of the table, trained on ten tones in the layout of Speech Commands; its flags and its folder."""
    root = tmp_path_factory.mktemp("reproduce") / "speech_commands"
    rng = np.random.default_rng(0)
    lists = {6: "validation_list.txt", 7: "testing_list.txt"}
    for number, word in enumerate(COMMAND_WORDS):
        for speaker in range(8):
            seconds = np.arange(RATE if speaker else RATE // 2) / RATE
            tone = np.sin(2 * np.pi * 200 * 1.4**number * rng.uniform(0.98, 1.02) * seconds)
            name = f"{word}/speaker{speaker}_nohash_0.wav"
            audio.write(root / name, 0.3 * tone + rng.normal(0, 0.003, len(tone)), RATE)
            if speaker in lists:
                with (root / lists[speaker]).open("a") as file:
                    file.write(f"{name}\n")
    folder = root.parent / "runs"
    flags = [f"--data_dir={root}", f"--shards_dir={shards_dir}", f"--output_dir={folder}", "--quick", "--rows=5x128"]
    return flags, folder


def run(*flags):
    return app.run(reproduce.main, reproduce.define_flags, list(flags))


@pytest.mark.slow
def test_a_row_is_trained_on_both_splits_and_stands_beside_the_published_one(reproduced, capsys):
    flags, folder = reproduced
    assert run(*flags) == 0
    shown = capsys.readouterr().out
    table = pd.read_csv(folder / "table.csv").set_index("source")
    assert table.index.tolist() == ["published", "random", "official"]
    assert table.loc["published", "test_accuracy"] == 0.6646
    for source in ("random", "official"):
        trained, history = folder / f"5x128_{source}_0", pd.read_csv(folder / f"5x128_{source}_0" / "history.csv")
        config = json.loads((trained / "config.json").read_text())["config"]
        assert (config["epochs"], config["batch_size"], config["keep_epoch"]) == (1, 128, "last")
        assert config["split_rule"] == source and config["model"] == "report_cnn"
        figures = json.loads((trained / "metrics.json").read_text())
        row = table.loc[source]
        assert row["train_loss"] == pytest.approx(history["loss"].iloc[-1])
        assert row["validation_accuracy"] == pytest.approx(history["val_accuracy"].iloc[-1])
        assert row["test_loss"] == pytest.approx(figures["cross_entropy"])
        assert row["test_accuracy_low"] <= row["test_accuracy"] == figures["accuracy"] <= row["test_accuracy_high"]
    assert table["test_speakers_trained_on"].tolist()[1] > 0 == table["test_speakers_trained_on"].tolist()[2]
    assert (folder / "table.md").read_text() in shown
    assert "80 clips of the ten words by 8 speakers, 70 of them at least 1 s long" in shown
    assert "| 5 × 128 | published | 1.2394, 57.21 | 1.1219, 63.82 | 1.1008, 66.46 |" in shown
    assert "80 clips, quick: a fifth of the epochs" in shown
    assert json.loads((folder / "report.json").read_text())["rows"][0]["test_loss"] == 1.1008
    assert image.imread(folder / "curves.png").std() > 0


@pytest.mark.slow
def test_the_same_command_again_trains_nothing(reproduced):
    flags, folder = reproduced
    assert run(*flags) == 0  # Another process may have run the test above.
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/model.keras")}
    (folder / "table.csv").unlink()
    assert run(*flags) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/model.keras")} == before
    assert len(before) == 2 and (folder / "table.csv").exists()


def measured(source, seed, accuracy):
    figures = dict.fromkeys(published.FIGURES, accuracy)
    split = {"test_clips": 100, "test_speakers": 9, "test_speakers_trained_on": 0}
    return {"epochs": 40, "batch_size": 32, "source": source, "seed": seed, **figures, **split}


def test_several_seeds_give_mean_deviation_and_the_interval_of_the_mean():
    runs = [measured(source, seed, 0.8 + 0.1 * seed) for source in ("random", "official") for seed in (0, 1)]
    rows = published.choose_rows(["40x32"])
    table = reproduction.summarize(rows, pd.DataFrame(runs))
    official = table[table["source"] == "official"].iloc[0]
    assert official["test_accuracy"] == pytest.approx(0.85)
    assert official["test_accuracy_deviation"] == pytest.approx(np.std([0.8, 0.9], ddof=1))
    # Wilson 1927 at 85 of 100.
    assert official["test_accuracy_low"] == pytest.approx(0.7672, abs=1e-4)
    assert official["test_accuracy_high"] == pytest.approx(0.9069, abs=1e-4)
    assert "85.00 ± 7.07 | 76.7 to 90.7 | 100 | 0 of 9 |" in reproduction.markdown(table, {"title": ""})


def test_rows_are_those_of_the_report_and_full_length_unless_quick():
    rows = list(published.choose_rows(["40x32", "5x128"]).itertuples())
    assert [published.row_name(row) for row in rows] == ["5x128", "40x32"]
    config = published.row_config(VARIANTS["report"], rows[1], "official", 3, quick=False)
    assert (config.epochs, config.batch_size, config.split_rule, config.seed) == (40, 32, "official", 3)
    assert config.epoch_examples == 0
    assert published.row_config(VARIANTS["report"], rows[1], "official", 3, quick=True).epochs == 8
    assert build_model(config).count_params() == 34698


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--rows=5x64", "--rows: expected any of 5x128, 10x64, 20x64, 30x64, 40x64, 40x32, got '5x64'"),
        ("--rows=", "--rows: expected any of"),
        ("--seeds=0,-1", "--seeds: expected non-negative integers separated by commas, got '0,-1'"),
        ("--data_dir=nowhere", "nowhere is not a folder"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(flag, message, tmp_path, capsys):
    assert run(flag, f"--output_dir={tmp_path}") == 2
    assert message in capsys.readouterr().err

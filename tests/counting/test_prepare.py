import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from common import app
from counting import prepare, train


def run(script, *arguments):
    return app.run(script.main, script.define_flags, list(map(str, arguments)))


@pytest.fixture(scope="module")
def flags(voices_dir, shards_dir):
    return ["--corpus=folder", f"--data_dir={voices_dir}", f"--shards_dir={shards_dir}", "--sizes=70,6,6"]


@pytest.fixture(scope="module")
def folder(flags, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "set"
    assert run(prepare, *flags, f"--output_dir={folder}") == 0
    return folder


def test_files_and_table_are_the_reports(folder):
    table = pd.read_csv(folder / "metadata.csv", keep_default_na=False)
    assert len(table) == 82
    assert len(list(folder.glob("Audio_*.wav"))) == 82
    assert table["File"][[0, 69, 70, 76]].tolist() == [
        "Audio_Train0.wav",
        "Audio_Train69.wav",
        "Audio_Validation0.wav",
        "Audio_Test0.wav",
    ]
    assert table[table["Split"] == "test"]["Speakers"].tolist() == [1, 2, 3, 1, 2, 3]
    assert (table["F"] + table["M"] == table["Speakers"]).all()
    assert (table["Speakers Sex"].str.count("F") == table["F"]).all()
    for name in ("class_balance.png", "sexes.png", "examples.png"):
        assert (folder / name).stat().st_size > 0


def test_a_mixture_is_the_mean_of_the_cuts_that_the_table_names(folder, voices_dir):
    table = pd.read_csv(folder / "metadata.csv", keep_default_na=False)
    for row in table[table["Split"] != "train"].itertuples():
        sources, offsets = row.Sources.split(";"), map(float, str(row.Offsets).split(";"))
        cuts = [
            soundfile.read(voices_dir / source, start=round(16000 * offset), frames=16000)[0]
            for source, offset in zip(sources, offsets, strict=True)
        ]
        written, rate = soundfile.read(folder / row.File)
        assert rate == 16000
        np.testing.assert_allclose(written, np.mean(cuts, axis=0), atol=2 / 2**15)


def test_what_is_missing_is_made_again_and_nothing_else(folder, flags):
    kept, lost = folder / "Audio_Train3.wav", folder / "Audio_Train68.wav"
    content, before = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    (folder / "metadata.csv").unlink()
    assert run(prepare, *flags, f"--output_dir={folder}") == 0
    assert lost.read_bytes() == content
    assert kept.stat().st_mtime_ns == before
    assert (folder / "metadata.csv").exists()


def test_other_settings_in_the_same_folder_are_refused(folder, flags, capsys):
    assert run(prepare, *flags, f"--output_dir={folder}", "--max_speakers=2") == 2
    assert "was prepared with max_speakers=3 (now 2)" in capsys.readouterr().err


def test_a_counter_is_trained_from_the_folder(folder, shards_dir, tmp_path):
    flags = ["--variant=tiny", "--corpus=prepared", f"--data_dir={folder}", f"--shards_dir={shards_dir}", "--epochs=1"]
    assert run(train, *flags, f"--run_dir={tmp_path / 'run'}") == 0
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert figures["num_examples"] == 6
    assert figures["protocol"]["corpus"] == "prepared"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([], "--output_dir is missing"),
        (["--output_dir=x", "--sizes=5,5"], "--sizes: expected three whole numbers"),
        (["--output_dir=x", "--corpus=prepared"], "is what this command makes"),
    ],
)
def test_bad_flags_are_one_line(changes, message, flags, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(prepare, *flags, *changes) == 2
    assert message in capsys.readouterr().err

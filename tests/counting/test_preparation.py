import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import soundfile

from common.cli import app
from counting import prepare, train
from counting.config import VARIANTS


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


@pytest.mark.slow
def test_other_recordings_are_refused(voices_dir, shards_dir, tmp_path, capsys):
    import shutil

    corpus = tmp_path / "corpus"
    shutil.copytree(voices_dir, corpus)
    flags = ["--corpus=folder", f"--data_dir={corpus}", f"--shards_dir={shards_dir}", "--sizes=3,3,3"]
    assert run(prepare, *flags, f"--output_dir={tmp_path / 'set'}") == 0
    table = (corpus / "speakers.csv").read_text()
    (corpus / "speakers.csv").write_text(table.replace("train0,F", "train0,M"))
    assert run(prepare, *flags, f"--output_dir={tmp_path / 'set'}") == 2
    assert "was prepared from other recordings" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["metadata.csv", "sexes.png", "Audio_mine.wav"])
def test_somebody_elses_folder_is_left_alone(name, flags, tmp_path, capsys):
    (tmp_path / name).write_text("mine")
    assert run(prepare, *flags, f"--output_dir={tmp_path}") == 2
    assert f"{name} was not written by this command" in capsys.readouterr().err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}


@pytest.mark.parametrize("place", [".", "mixtures", "train0/mixtures"])
def test_mixtures_do_not_become_recordings(place, voices_dir, shards_dir, tmp_path, capsys):
    (tmp_path / "link").symlink_to(voices_dir)
    flags = ["--corpus=folder", f"--data_dir={voices_dir}", f"--shards_dir={shards_dir}"]
    assert run(prepare, *flags, f"--output_dir={tmp_path / 'link' / place}") == 2
    assert "is inside --data_dir" in capsys.readouterr().err


@pytest.mark.slow
def test_a_larger_set_begins_with_the_smaller_one(folder, flags, tmp_path):
    noisy = [*flags, "--noise_probability=1", "--min_speakers=0"]
    for name, sizes in (("small", "70,1,1"), ("large", "100,1,1")):
        assert run(prepare, *noisy, f"--output_dir={tmp_path / name}", f"--sizes={sizes}") == 0
    for number in range(70):
        small, large = ((tmp_path / name / f"Audio_Train{number}.wav").read_bytes() for name in ("small", "large"))
        assert small == large, number


def test_clips_of_another_length_are_refused(folder, shards_dir, tmp_path, capsys):
    flags = ["--variant=tiny", "--corpus=prepared", f"--data_dir={folder}", f"--shards_dir={shards_dir}"]
    assert run(train, *flags, "--clip_seconds=2", f"--run_dir={tmp_path / 'run'}") == 2
    assert "lasts 1 s, but --clip_seconds=2" in capsys.readouterr().err


def test_the_command_to_train_names_what_is_not_usual():
    config = dataclasses.replace(VARIANTS["report"], max_speakers=5, clip_seconds=5.0)
    assert prepare.train_command(config, "a b").endswith("--data_dir='a b' --max_speakers=5 --clip_seconds=5.0")


@pytest.mark.slow
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
        (["--output_dir=x", "--sizes=5,5"], "--sizes: expected three positive integers"),
        (["--output_dir=x", "--corpus=prepared"], "expected a corpus of speakers"),
    ],
)
def test_bad_flags_are_one_line(changes, message, flags, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(prepare, *flags, *changes) == 2
    assert message in capsys.readouterr().err

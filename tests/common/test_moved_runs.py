"""A run is moved and its corpus is gone: it predicts, exports, and evaluates on a copy of the corpus."""

import importlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

from common.cli import app

pytestmark = pytest.mark.slow

# Noise of the training, which no command needs afterwards.
NOISE = ["--noise_dir=noise", "--noise_probability=0.5"]
OWN = {
    "kws": [*NOISE, "--words=low,high", "--unknown", "--silence", "--speech_dir=noise", "--unknown_ratio=4"],
    "counting": [*NOISE, "--epoch_examples=32", "--test_mixtures=40"],
    "separation": [],
    "generation": ["--epoch_examples=32"],
}
PREDICT = {"generation": "generate"}


def run(task, verb, *flags):
    script = importlib.import_module(f"{task}.{verb}")
    return app.run(script.main, script.define_flags, list(map(str, flags)))


@pytest.fixture
def moved(task, task_dirs, task_flags, tmp_path, monkeypatch, rng):
    """Train with relative paths, then move the run, copy the corpus and delete the rest; returns the root."""
    home = tmp_path / "home"
    shutil.copytree(task_dirs[task], home / "corpus")
    (home / "noise").mkdir()
    for number in range(12):
        soundfile.write(home / "noise" / f"{number}.wav", rng.normal(0, 0.1, 32000), 16000)
    monkeypatch.chdir(home)
    flags = [flag for flag in task_flags[task] if not flag.startswith("--data_dir")]
    flags += [*OWN[task], "--epochs=1", "--data_dir=corpus", "--run_dir=run", "--shards_dir=shards"]
    assert run(task, "train", *flags) == 0
    config = json.loads((home / "run" / "config.json").read_text())["config"]
    assert config["data_dir"] == str(home / "corpus")
    assert all(config[name] == str(home / "noise") for name in ("noise_dir", "speech_dir") if config.get(name))
    (home / "corpus").rename(tmp_path / "copy")
    (home / "run").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(home)
    return tmp_path


@pytest.mark.parametrize("task", OWN)
def test_a_run_survives_its_corpus(task, moved, capsys, caplog):
    assert run(task, "export", "--run_dir=moved") == 0
    report = json.loads((moved / "moved/export/report.json").read_text())
    assert report["protocol"]["excerpts"] == "run" and report["protocol"]["split"] == "test"
    formats = [entry for entry in report.values() if "max_difference" in entry]
    assert len(formats) == 2 and all(entry["max_difference"] <= entry["tolerance"] for entry in formats)

    recording = next(path for path in sorted((moved / "copy").rglob("*.wav")))
    inputs = ["--num_samples=1"] if task == "generation" else [recording]
    output = [] if task in ("kws", "counting") else [f"--output_dir={moved / 'out'}"]
    assert run(task, PREDICT.get(task, "predict"), "--run_dir=moved", *output, *inputs) == 0

    capsys.readouterr()
    assert run(task, "evaluate", "--run_dir=moved", "--shards_dir=shards") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and "home/corpus" in error
    samples = ["--num_samples=16"] if task == "generation" else []
    assert run(task, "evaluate", "--run_dir=moved", "--shards_dir=shards", "--data_dir=copy", *samples) == 0
    trained, evaluated = (
        json.loads((moved / "moved" / name).read_text()) for name in ("metrics.json", "evaluation.json")
    )
    check(task, trained, evaluated, moved / "moved", caplog.text)


def check(task, trained, evaluated, folder, log):
    if task == "kws":
        assert "--noise_dir of the training" in log and "there is no noise: the class _silence_ is left out" in log
        silent = [figures["labels"]["_silence_"]["support"] for figures in (trained, evaluated)]
        assert silent[0] > 0 and silent[1] == 0
        for word in ("low", "high", "_unknown_"):
            assert evaluated["labels"][word]["recall"] == trained["labels"][word]["recall"]
    if task == "counting":
        assert "--noise_dir of the training" in log
        assert evaluated["accuracy"] == trained["accuracy"]
        assert evaluated["conditions"]["noise at 0 dB"]["protocol"]["noise"] == "coloured"
    if task in ("kws", "counting"):
        for name, figures in (("test", trained), ("evaluation", evaluated)):
            wrong = pd.read_csv(folder / f"{name}_mistakes.csv")
            assert len(wrong) == round((1 - figures["accuracy"]) * figures["num_examples"])
            assert (wrong["true"] != wrong["predicted"]).all()
            assert wrong["probability"].is_monotonic_decreasing
    if task == "separation":
        assert evaluated["si_sdr"] == pytest.approx(trained["si_sdr"], abs=1e-4)
    if task == "generation":
        assert "training tracks are read from" in log
        assert np.isclose(evaluated["floor"], trained["floor"])

"""The threshold by measurement: folds, a split, recordings without keywords; and the command that stores it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from common import audio
from common.cli import app
from common.errors import UserError
from kws import acceptance, calibrate, operating_points
from kws.inference import KeywordSpotter
from tests import saved


def _table(seed, num_clips=60):
    rng = np.random.default_rng(seed)
    true = np.where(np.arange(num_clips) % 4 == 3, "_unknown_", "yes")
    speakers = [f"s{seed}_{number % 6}" for number in range(num_clips)]
    return pd.DataFrame({"true": true, "speaker": speakers, "keyword_score": rng.random(num_clips)})


@pytest.fixture
def folds(tmp_path):
    for fold in range(3):
        (tmp_path / f"fold_{fold}").mkdir()
        _table(fold).to_csv(tmp_path / f"fold_{fold}" / "test_predictions.csv", index=False)
    return tmp_path


def test_the_threshold_keeps_the_recall_over_all_folds(folds):
    found = operating_points.of_folds(folds, 0.9)
    pooled = pd.concat(_table(fold) for fold in range(3)).query("true == 'yes'")
    assert found["num_keywords"] == len(pooled) == 135
    assert found["num_speakers"] == pooled["speaker"].nunique()
    kept = (pooled["keyword_score"] >= found["threshold"]).mean()
    assert 0.9 <= kept < 0.9 + 1 / 135
    assert found["keywords_kept"]["share"] == kept
    low, high = found["interval_by_speaker"]
    assert low < kept < high


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, r"fold_1 has no test_predictions.csv; run kws.crossvalidate to its end"),
        ("", r"cannot read .*fold_1"),
        ("true,speaker\nyes,a\n", r"cannot read .*fold_1"),
        ("true,speaker,keyword_score\nyes,a,high\n", r"cannot read .*fold_1"),
        ("true,speaker,keyword_score\nyes,a,\n", r"cannot read .*fold_1.*not a number"),
    ],
)
def test_damaged_folds_are_refused(folds, content, line):
    path = folds / "fold_1" / "test_predictions.csv"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=line):
        operating_points.of_folds(folds, 0.9)


def test_no_folds_and_few_keywords_are_refused(tmp_path):
    with pytest.raises(UserError, match="has no folds"):
        operating_points.of_folds(tmp_path, 0.9)
    with pytest.raises(UserError, match="12 clips of keywords, expected at least 20"):
        operating_points.of_predictions(_table(0, 16), 0.9, "here")


def test_false_accepts_stay_within_the_rate(tmp_path):
    # The model hears "yes" with a probability that is the loudness.
    def run(clips):
        loud = np.abs(clips).max(axis=1)
        return np.stack([loud, 1 - loud], axis=1)

    spotter = KeywordSpotter(run, sample_rate=1000, num_samples=1000, labels=("yes", "_unknown_"), threshold=0.5)
    waveform = np.zeros(360_000, np.float32)
    for number, loudness in enumerate((0.95, 0.9, 0.8, 0.7, 0.6)):
        waveform[(number + 1) * 50_000 :][:900] = loudness
    audio.write(tmp_path / "radio.wav", waveform, 1000)
    # A tenth of an hour: 21 an hour are two.
    found = operating_points.of_background(spotter, tmp_path, 21)
    assert found["false_accepts"] == 2
    assert 0.8 < found["threshold"] < 0.9
    assert found["hours"] == pytest.approx(0.1, rel=0.01)
    assert operating_points.of_background(spotter, tmp_path, 0)["threshold"] > 0.95
    lenient = KeywordSpotter(
        lambda clips: np.tile([1.0, 0.0], (len(clips), 1)),
        sample_rate=1000,
        num_samples=1000,
        labels=("yes", "_unknown_"),
        threshold=0.5,
    )
    with pytest.raises(UserError, match="false accepts per hour at the threshold 0.9999"):
        operating_points.of_background(lenient, tmp_path, 0)


def _run(*arguments):
    return app.run(calibrate.main, calibrate.define_flags, list(map(str, arguments)))


def test_the_command_stores_the_threshold_of_the_folds(folds, tmp_path, capsys):
    run_dir = tmp_path / "run"
    shutil.copytree(saved.RUNS / "kws", run_dir)
    assert _run(f"--run_dir={run_dir}", f"--folds={folds}", "--target_recall=0.8") == 0
    stored = json.loads((run_dir / "calibration.json").read_text())
    assert stored["target_recall"] == 0.8
    assert acceptance.operating_point(run_dir) == (stored["threshold"], "calibration")
    assert "135 clips of 18 speakers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--background_dir=radio"], "need each other; give both"),
        (["--background_dir=/nope", "--false_accepts_per_hour=1"], "/nope is not a folder"),
        (["--background_dir=x", "--false_accepts_per_hour=1", "--folds=y"], "choose one"),
        (["--folds=/nope"], "has no folds"),
        (["--target_recall=2"], "target_recall"),
    ],
)
def test_wrong_flags_get_a_line(tmp_path, capsys, flags, line):
    shutil.copytree(saved.RUNS / "kws", tmp_path / "run")
    assert _run(f"--run_dir={tmp_path / 'run'}", *flags) != 0
    error = capsys.readouterr().err
    assert line in error
    assert "Traceback" not in error
    assert not (tmp_path / "run" / "calibration.json").exists()

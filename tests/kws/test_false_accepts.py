import json

import numpy as np
import pytest
import soundfile

from benchmarks.example_corpora.whistles import RATE, whistle
from common.cli import app
from common.errors import UserError
from kws import data, evaluate, false_accepts
from kws.models import load_for_inference, load_model


@pytest.fixture
def radio_dir(tmp_path, rng):
    """Twenty seconds with three whistles, ten of faint noise, one file that is none."""
    folder = tmp_path / "radio"
    (folder / "deep" / "er").mkdir(parents=True)
    recording = rng.normal(0, 1e-5, 20 * RATE).astype(np.float32)
    for second, word in ((2, "low"), (9, "rising"), (16, "low")):
        recording[second * RATE : second * RATE + RATE // 2] += whistle(word, rng)
    soundfile.write(folder / "deep" / "er" / "a.flac", recording, RATE)
    soundfile.write(folder / "b.wav", rng.normal(0, 1e-5, 10 * RATE), RATE)
    (folder / "c.wav").write_bytes(b"not audio")
    return folder


def test_every_detection_is_a_false_accept(run_dir, radio_dir):
    figures = false_accepts.false_accepts(load_for_inference(run_dir, 0.5), radio_dir)
    # Three whistles, and what of the silence a model that knows none takes for a word.
    assert figures["by_word"]["low"] >= 2 and figures["by_word"]["rising"] >= 1
    assert figures["false_accepts"] == sum(figures["by_word"].values())
    assert figures["hours"] == pytest.approx(30 / 3600)
    assert figures["per_hour"] == pytest.approx(figures["false_accepts"] * 3600 / 30)
    assert figures["interval"][0] < figures["per_hour"] < figures["interval"][1]
    assert figures["num_recordings"] == 2
    assert len(figures["rejected"]) == 1


def test_no_threshold_is_reached_by_nothing(run_dir, radio_dir):
    figures = false_accepts.false_accepts(load_for_inference(run_dir, 1.0), radio_dir)
    assert figures["false_accepts"] == figures["per_hour"] == figures["interval"][0] == 0
    assert figures["interval"][1] == pytest.approx(3.689 * 3600 / 30, rel=1e-3)  # minus the logarithm of 0.025


def test_keywords_are_found_in_a_stream_of_clips(run_dir, shards_dir):
    corpus = data.load_corpus(load_model(run_dir)[0], shards_dir)
    split = data.prepare_split(corpus, "test")
    figures = false_accepts.keywords_found(load_for_inference(run_dir, 0.5), corpus.config, split)
    assert figures["found"]["total"] == len(split.shards.rows)
    assert figures["found_right"]["share"] >= 0.8
    nothing = false_accepts.keywords_found(load_for_inference(run_dir, 1.0), corpus.config, split)
    assert nothing["found"]["count"] == nothing["found_right"]["count"] == 0


def test_folders_without_recordings_are_refused(run_dir, tmp_path):
    spotter = load_for_inference(run_dir, 0.5)
    with pytest.raises(UserError, match="has no audio files"):
        false_accepts.false_accepts(spotter, tmp_path)
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(UserError, match="none of the 1 recordings .* can be read"):
        false_accepts.false_accepts(spotter, tmp_path)


@pytest.mark.slow
def test_evaluate_reports_false_accepts_an_hour(run_dir, shards_dir, radio_dir, tmp_path, capsys):
    flags = [f"--run_dir={run_dir}", f"--shards_dir={shards_dir}", f"--output={tmp_path / 'out.json'}"]
    assert app.run(evaluate.main, evaluate.define_flags, [*flags, f"--background_dir={radio_dir}"]) == 0
    figures = json.loads((tmp_path / "out.json").read_text())["background"]
    assert figures["protocol"]["threshold"] == json.loads((run_dir / "threshold.json").read_text())["threshold"]
    shown = capsys.readouterr().out
    assert "false accepts per hour" in shown
    assert "keywords found and correct" in shown

"""Train, evaluate, predict and export as a user does, on voices that take seconds."""

import csv
import io
import json
import re
import resource
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.example_corpora.voices import RATE, buzz
from common.cli import app
from common.export import litert
from counting import evaluate, evaluation, predict, train
from counting import export as export_script
from counting.models import load_for_inference


def run(script, *arguments):
    return app.run(script.main, script.define_flags, list(map(str, arguments)))


def test_training_learns_and_leaves_everything(counting_run):
    figures = json.loads((counting_run / "metrics.json").read_text())
    assert figures["accuracy"] > 0.75  # 0.90 to 0.95 over twelve seeds; guessing is 0.5
    assert figures["sex_accuracy"] > 0.6
    assert figures["mean_absolute_error"] == pytest.approx(1 - figures["accuracy"])  # of one or two
    assert figures["protocol"]["num_speakers_shared_with_training"] == 0
    history = pd.read_csv(counting_run / "history.csv")
    assert history["epoch"].tolist() == list(range(1, 7))
    assert {"val_accuracy", "val_mean_absolute_error", "val_sex_accuracy"} <= set(history)
    for name in (
        "model.keras",
        "corpus.json",
        "example.wav",
        "history.png",
        "test_confusion.png",
        "test_sex_confusion.csv",
    ):
        assert (counting_run / name).stat().st_size > 0, name
    assert not (counting_run / "backup").exists()


def test_the_dashboard_shows_mixtures_with_their_speakers(counting_run):
    tags = set()
    for folder in {path.parent for path in (counting_run / "tensorboard").rglob("events*")}:
        events = EventAccumulator(str(folder)).Reload()
        tags |= {tag for kind in ("scalars", "images", "audio", "tensors") for tag in events.Tags()[kind]}
    assert {"curves/loss", "curves/mean_absolute_error", "clips/worst", "clips/training"} <= tags
    assert {"evaluation/accuracy", "evaluation/confusion", "evaluation/sex_confusion"} <= tags
    assert any(re.match(r"clips/worst 1: .*, validation\d [FM]", tag) for tag in tags)


def test_the_same_command_again_trains_nothing(counting_run, counting_flags, capsys):
    before = (counting_run / "model.keras").stat().st_mtime_ns
    assert run(train, *counting_flags, f"--run_dir={counting_run}") == 0
    assert (counting_run / "model.keras").stat().st_mtime_ns == before
    assert "accuracy" in capsys.readouterr().out


def test_evaluate_repeats_training_and_adds_conditions(counting_run, shards_dir, tmp_path, capsys):
    output = tmp_path / "test.json"
    flags = [f"--run_dir={counting_run}", f"--shards_dir={shards_dir}", f"--output={output}"]
    assert run(evaluate, *flags) == 0
    trained, evaluated = (json.loads(path.read_text()) for path in (counting_run / "metrics.json", output))
    assert evaluated["accuracy"] == trained["accuracy"]
    assert evaluated["confusion"] == trained["confusion"]
    conditions = evaluated["conditions"]
    assert set(conditions) == set(evaluation.CONDITIONS)
    assert conditions["noise at 0 dB"]["accuracy"] < conditions["noise at 20 dB"]["accuracy"]
    assert conditions["any cuts, mean"]["protocol"]["cuts"] == "random"
    assert (tmp_path / "test_conditions.png").exists()
    table = capsys.readouterr().out
    assert "speakers ± 6 dB" in table
    assert "women and men both correct" in table


def test_evaluate_takes_another_split_and_size(counting_run, shards_dir, tmp_path):
    output = tmp_path / "validation.json"
    flags = [f"--run_dir={counting_run}", f"--shards_dir={shards_dir}", f"--output={output}"]
    flags += ["--corpus=folder", "--split=validation"]
    assert run(evaluate, *flags, "--num_mixtures=30", "--noconditions") == 0
    figures = json.loads(output.read_text())
    assert figures["num_examples"] == 30
    assert figures["protocol"]["num_speakers_shared_with_training"] == 0
    assert "conditions" not in figures


def clip(pitches_hz, seconds=1.0, rng=None):
    rng = rng or np.random.default_rng(3)
    return sum(buzz(pitch, seconds, rng) for pitch in pitches_hz)


def test_predict_counts_in_a_clip_whatever_the_file_is(counting_run, tmp_path, capsys):
    soundfile.write(tmp_path / "one.flac", np.stack([clip([220])] * 2, 1), RATE)
    soundfile.write(tmp_path / "two.wav", clip([100, 250])[::2], RATE // 2)
    assert run(predict, f"--run_dir={counting_run}", "--output_format=json", tmp_path) == 0
    one, two = json.loads(capsys.readouterr().out)
    assert (one["count"], len(one["timeline"])) == (1, 1)
    assert one["timeline"][0] == {**one["timeline"][0], "start": 0.0, "end": 1.0, "female": 1, "male": 0}
    assert two["count"] == 2
    assert {"female", "male", "probability"} <= set(two["timeline"][0])


def test_predict_draws_a_timeline_and_covers_all_of_it(counting_run, tmp_path, capsys):
    waveform = np.concatenate([clip([220], 3.0), clip([220, 100], 3.0)])
    soundfile.write(tmp_path / "meeting.wav", waveform, RATE)
    flags = [f"--run_dir={counting_run}", "--output_format=csv", f"--plot_dir={tmp_path / 'plots'}"]
    assert run(predict, *flags, tmp_path / "meeting.wav") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    starts, ends = ([float(row[name]) for row in rows] for name in ("start", "end"))
    assert (starts[0], ends[-1]) == (0.0, 6.0)
    assert starts[1:] == ends[:-1]
    middle = {
        name: next(row["count"] for row in rows if float(row["end"]) > at) for name, at in (("a", 1.5), ("b", 4.5))
    }
    assert middle == {"a": "1", "b": "2"}
    assert len(list((tmp_path / "plots").glob("*.png"))) == 1


def test_predict_reads_standard_input_and_writes_lines(counting_run, capsys, monkeypatch):
    file = io.BytesIO()
    soundfile.write(file, np.concatenate([clip([220], 2.0), clip([220, 100], 2.0)]), RATE, format="WAV")
    file.seek(0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
    assert run(predict, f"--run_dir={counting_run}", "-") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "-  at most 2 at once"
    assert " speaker (1 F, 0 M)" in lines[0]


def test_predict_answers_for_the_others_when_one_is_broken(counting_run, tmp_path, capsys):
    soundfile.write(tmp_path / "good.wav", clip([220]), RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF" + bytes(100))
    assert run(predict, f"--run_dir={counting_run}", tmp_path) == 2
    output = capsys.readouterr()
    assert "good.wav" in output.out
    assert "broken.wav" in output.err
    assert "Traceback" not in output.err


def test_predict_goes_on_where_a_picture_cannot_be_written(counting_run, tmp_path, capsys):
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", np.concatenate([clip([220], 2.0), clip([220, 100], 2.0)]), RATE)
    flags = [f"--run_dir={counting_run}", "--output_format=json", f"--plot_dir={tmp_path / 'plots'}"]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        assert run(predict, *flags, tmp_path / "b.wav", tmp_path / "a.wav") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    output = capsys.readouterr()
    assert [row["path"][-5:] for row in json.loads(output.out)] == ["b.wav", "a.wav"]
    assert [line.startswith("error: ") for line in output.err.splitlines()] == [True] * 3
    assert output.err.endswith("2 of the recordings could not be processed; the lines above say why\n")
    assert not (tmp_path / "plots").exists()


def test_pictures_replace_those_of_the_same_command_only(counting_run, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", np.concatenate([clip([220], 2.0), clip([220, 100], 2.0)]), RATE)
    flags = [f"--run_dir={counting_run}", f"--plot_dir={tmp_path / 'plots'}", tmp_path / "a.wav"]
    assert run(predict, *flags) == run(predict, *flags) == 0
    (tmp_path / "plots" / "000_a.png").write_text("mine")
    assert run(predict, *flags) == 2
    assert "000_a.png exists, and this command did not write it" in capsys.readouterr().err
    assert (tmp_path / "plots" / "000_a.png").read_text() == "mine"


def test_memory_does_not_follow_the_length_of_a_recording(counting_run, tmp_path):
    import tracemalloc

    counter = load_for_inference(counting_run)

    def peak_bytes(minutes):
        soundfile.write(tmp_path / "long.wav", np.tile(clip([220], 1.0), 60 * minutes)[::4], RATE // 4)
        tracemalloc.start()
        for _ in predict.answer_recording(counter, tmp_path / "long.wav", 1.0, 1.0):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(2)
    # Blocks and batches of 64 windows of a second are 4 MB each; eight minutes at 16 kHz are 31 MB as float32.
    assert peak_bytes(8) < 1.1 * peak_bytes(3) < 45e6


def test_exports_answer_as_the_model_does(counting_run, shards_dir, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(counting_run, folder)
    assert run(export_script, f"--run_dir={folder}", f"--shards_dir={shards_dir}") == 0
    report = json.loads((folder / "export" / "report.json").read_text())
    assert report["saved_model"]["max_difference"] < 1e-4
    assert report["litert"]["max_difference"] < 1e-4
    assert (folder / "export" / "labels.txt").read_text().split() == ["F", "M", "FF", "FM", "MM"]
    waveform = clip([220, 100])[None]
    served = tf.saved_model.load(str(folder / "export" / "saved_model")).signatures["serving_default"]
    answer = {name: value.numpy() for name, value in served(waveform=tf.constant(waveform)).items()}
    assert answer["count"] == answer["female"] + answer["male"]
    for name in ("count", "female", "male", "count_probabilities", "probabilities"):
        lite = litert.run(folder / "export" / "model.tflite", waveform, name)
        np.testing.assert_allclose(lite, answer[name], atol=1e-4)

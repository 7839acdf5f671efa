"""Train, evaluate, predict and export as a user does, on a corpus that takes seconds."""

import csv
import io
import json
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.example_corpora.whistles import RATE, whistle, write_words
from common.cli import app
from common.errors import UserError
from common.export import graphs, litert
from kws import data, evaluate, evaluation, exporting, predict, train, training
from kws import export as export_script
from kws.config import Config
from kws.models import load_model


def run(script, *arguments):
    return app.run(script.main, script.define_flags, list(arguments))


def test_training_learns_and_leaves_everything(run_dir):
    figures = json.loads((run_dir / "metrics.json").read_text())
    assert figures["accuracy"] > 0.85
    assert figures["protocol"]["num_speakers_shared_with_training"] == 0
    assert json.loads((run_dir / "config.json").read_text())["config"]["words"] == ["high", "low", "rising"]
    assert pd.read_csv(run_dir / "history.csv")["epoch"].tolist() == list(range(1, 31))
    for name in (
        "model.keras",
        "corpus.json",
        "example.wav",
        "history.png",
        "test_confusion.png",
        "test_confusion.csv",
        "test_roc.png",
        "test_reliability.png",
        "threshold.json",
    ):
        assert (run_dir / name).stat().st_size > 0, name
    assert not (run_dir / "backup").exists()


def test_the_dashboard_shows_scalars_confusion_worst_clips_and_hyper_parameters(run_dir):
    tags = {"scalars": set(), "images": set(), "audio": set(), "tensors": set()}
    for folder in {path.parent for path in (run_dir / "tensorboard").rglob("events*")}:
        events = EventAccumulator(str(folder)).Reload()
        for kind in tags:
            tags[kind] |= set(events.Tags()[kind])
    shown = set().union(*tags.values())
    assert {"curves/loss", "curves/accuracy", "training/learning_rate", "training/examples_per_second"} <= shown
    assert {"clips/training", "clips/worst", "clips/worst_table", "evaluation/accuracy"} <= shown
    assert {"evaluation/confusion", "evaluation/roc"} <= shown
    assert any(re.fullmatch(r"clips/worst 1: .*\w+/\w+_nohash_\d\.wav", tag) for tag in shown)
    assert "_hparams_/session_start_info" in shown or any("hparams" in name for name in shown)


def test_the_example_is_the_first_clip_that_is_answered_and_right(run_dir, shards_dir, tmp_path):
    config, _ = load_model(run_dir)
    corpus = data.load_corpus(config, shards_dir)
    test = data.prepare_split(corpus, "test")
    targets = data.target_indices(config, test.table["label"])
    # All are wrong but two, of which one is not sure enough.
    probabilities = np.eye(len(config.labels))[(targets + 1) % len(config.labels)]
    probabilities[3] = 0.4 * np.eye(len(config.labels))[targets[3]]
    probabilities[5] = np.eye(len(config.labels))[targets[5]]
    predictions = evaluation.Predictions(config.labels, targets, probabilities)
    training.save_example(config, test, predictions, 0.5, tmp_path / "example.wav")
    written, _ = soundfile.read(tmp_path / "example.wav", dtype="float32")
    clips = np.concatenate([waveforms for waveforms, _ in data.build_dataset(corpus.config, test).as_numpy_iterator()])
    np.testing.assert_allclose(written, clips[5], atol=1e-4)
    assert np.abs(clips[5] - clips[3]).max() > 0.01


@pytest.mark.slow
def test_a_network_learns_from_teachers_that_it_trains_first(train_flags, tmp_path, capsys):
    flags = [*train_flags, "--epochs=2", "--num_teachers=2", "--ema_momentum=0.9", "--epoch_examples=16"]
    assert run(train, *flags, f"--run_dir={tmp_path / 'run'}") == 0
    for folder in ("teachers/0", "teachers/1", "."):
        assert json.loads((tmp_path / "run" / folder / "metrics.json").read_text())["num_examples"] > 0
    first, second = (
        json.loads((tmp_path / "run" / "teachers" / number / "config.json").read_text())["config"] for number in "01"
    )
    assert first["seed"] != second["seed"] and first["num_teachers"] == 0


@pytest.mark.slow
def test_a_network_learns_from_a_run(run_dir, train_flags, tmp_path, capsys):
    flags = [*train_flags, "--epochs=1", f"--teacher_dir={run_dir}", "--teacher_weight=1", "--epoch_examples=16"]
    assert run(train, *flags, f"--run_dir={tmp_path / 'run'}") == 0
    assert run(train, *flags, "--clip_seconds=0.5", f"--run_dir={tmp_path / 'other'}") == 2
    assert "has num_samples 16000, expected 8000" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    assert run(train, *train_flags, "--teacher_dir=/nope", f"--run_dir={tmp_path / 'other'}") == 2
    assert "--teacher_dir" in capsys.readouterr().err


def test_the_same_command_again_trains_nothing(run_dir, train_flags, capsys):
    before = (run_dir / "model.keras").stat().st_mtime_ns
    assert run(train, *train_flags, f"--run_dir={run_dir}") == 0
    assert (run_dir / "model.keras").stat().st_mtime_ns == before
    assert "accuracy" in capsys.readouterr().out


def test_evaluate_repeats_the_figures_of_training(run_dir, shards_dir, capsys):
    assert run(evaluate, f"--run_dir={run_dir}", f"--shards_dir={shards_dir}") == 0
    trained, evaluated = (json.loads((run_dir / name).read_text()) for name in ("metrics.json", "evaluation.json"))
    assert evaluated["accuracy"] == trained["accuracy"]
    assert evaluated["confusion"] == trained["confusion"]
    table = capsys.readouterr().out
    assert "precision" in table
    assert "rising" in table


def test_evaluate_takes_another_split_and_output(run_dir, shards_dir, tmp_path):
    output = tmp_path / "all.json"
    flags = [f"--run_dir={run_dir}", f"--shards_dir={shards_dir}", "--split=all", f"--output={output}"]
    assert run(evaluate, *flags, "--corpus=folder") == 0
    figures = json.loads(output.read_text())
    assert figures["num_examples"] == 72
    assert figures["protocol"]["num_speakers_shared_with_training"] > 0
    confusion = pd.read_csv(tmp_path / "all_confusion.csv", index_col=0)
    assert confusion.to_numpy().sum() == 72
    assert (tmp_path / "all_roc.png").exists()


def test_evaluate_on_another_folder_claims_nothing_about_its_speakers(run_dir, shards_dir, tmp_path, capsys):
    write_words(tmp_path / "words", ("low", "high"), num_clips=12, seed=1)
    output = tmp_path / "other.json"
    flags = [f"--run_dir={run_dir}", f"--shards_dir={shards_dir}", "--split=all", f"--output={output}"]
    assert run(evaluate, *flags, "--corpus=folder", f"--data_dir={tmp_path / 'words'}") == 0
    figures = json.loads(output.read_text())
    assert figures["num_examples"] == 24
    assert figures["accuracy"] > 0.85
    assert figures["protocol"]["num_speakers"] == 8
    assert figures["protocol"]["num_speakers_shared_with_training"] is None
    absent = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("rising"))
    assert absent.split()[1:] == ["–", "–", "–", "–", "0"]


def test_predict_names_the_word_whatever_the_file_is(run_dir, tmp_path, rng, capsys):
    soundfile.write(tmp_path / "stereo.flac", np.stack([whistle("low", rng, rate=44100)] * 2, 1), 44100)
    soundfile.write(tmp_path / "narrow.wav", whistle("high", rng, rate=8000), 8000, subtype="PCM_U8")
    assert run(predict, f"--run_dir={run_dir}", "--output_format=json", *map(str, sorted(tmp_path.iterdir()))) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["word"] for row in rows] == ["high", "low"]
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_predict_shows_true_and_predicted_words_of_a_labelled_folder(run_dir, corpus_dir, capsys):
    assert run(predict, f"--run_dir={run_dir}", str(corpus_dir)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 73
    assert "true high" in lines[0]
    assert "predicted" in lines[0]
    assert lines[-1].endswith("%)")


def test_predict_reads_standard_input(run_dir, rng, capsys, monkeypatch):
    content = io.BytesIO()
    soundfile.write(content, whistle("rising", rng), RATE, format="WAV")
    content.seek(0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    assert run(predict, f"--run_dir={run_dir}", "--output_format=csv", "-") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["word"] for row in rows] == ["rising"]


def test_a_long_recording_gives_a_timeline(run_dir, tmp_path, rng, capsys):
    recording = rng.normal(0, 1e-5, 10 * RATE).astype(np.float32)
    for second, word in ((2, "low"), (5, "rising"), (8, "high")):
        recording[second * RATE : second * RATE + RATE // 2] += whistle(word, rng)
    soundfile.write(tmp_path / "long.wav", recording, RATE)
    assert (
        run(predict, f"--run_dir={run_dir}", "--output_format=json", "--threshold=0.5", str(tmp_path / "long.wav")) == 0
    )
    found = json.loads(capsys.readouterr().out)[0]["detections"]
    # A model that knows no silence may take some of it for a word too, which differs from training to training.
    for second, word in ((2, "low"), (5, "rising"), (8, "high")):
        places = [(item["start"], item["end"]) for item in found if item["word"] == word]
        assert any(start - 0.3 <= second + 0.25 <= end + 0.3 for start, end in places), word
    assert [item["start"] for item in found] == sorted(item["start"] for item in found)


def test_a_model_without_other_words_says_so_once_on_long_recordings(run_dir, tmp_path, rng, capsys, caplog):
    for name, seconds in (("clip", 1), ("long", 5), ("longer", 6)):
        soundfile.write(tmp_path / f"{name}.wav", rng.normal(0, 0.01, seconds * RATE), RATE)
    run(predict, f"--run_dir={run_dir}", str(tmp_path / "clip.wav"))
    assert "false detections" not in caplog.text
    run(predict, f"--run_dir={run_dir}", str(tmp_path / "long.wav"), str(tmp_path / "longer.wav"))
    hints = [record.getMessage() for record in caplog.records if "false detections" in record.getMessage()]
    assert len(hints) == 1
    assert "--unknown --speech_dir" in hints[0]


def test_predict_says_what_is_rejected_at_the_stored_or_a_given_threshold(run_dir, tmp_path, rng, capsys):
    # Two words at once: no model is wholly sure of one.
    soundfile.write(tmp_path / "a.wav", 0.5 * whistle("low", rng) + 0.5 * whistle("rising", rng), RATE)
    stored = json.loads((run_dir / "threshold.json").read_text())["threshold"]
    answers = {}
    for threshold in (None, 0.0, 1.0):
        given = [] if threshold is None else [f"--threshold={threshold}"]
        assert run(predict, f"--run_dir={run_dir}", *given, "--output_format=json", str(tmp_path / "a.wav")) == 0
        answers[threshold] = json.loads(capsys.readouterr().out)[0]
    assert answers[None]["accepted"] == (answers[None]["probability"] >= stored)
    assert (answers[0.0]["accepted"], answers[1.0]["accepted"]) == (True, False)
    assert len({answer["word"] for answer in answers.values()}) == 1
    assert run(predict, f"--run_dir={run_dir}", "--threshold=1", str(tmp_path / "a.wav")) == 0
    assert capsys.readouterr().out.rstrip().endswith("rejected")
    assert run(predict, f"--run_dir={run_dir}", "--threshold=1", "--output_format=csv", str(tmp_path / "a.wav")) == 0
    assert [row["accepted"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))] == ["false"]


def test_a_run_from_before_thresholds_were_stored_still_answers(run_dir, tmp_path, rng, capsys, caplog):
    caplog.set_level("INFO")
    shutil.copytree(run_dir, tmp_path / "run")
    (tmp_path / "run" / "threshold.json").unlink()
    soundfile.write(tmp_path / "a.wav", whistle("low", rng), RATE)
    assert run(predict, f"--run_dir={tmp_path / 'run'}", str(tmp_path / "a.wav")) == 0
    assert "a.wav  low" in capsys.readouterr().out
    assert "using the threshold 0.7" in caplog.text


def test_one_unreadable_file_does_not_hide_the_others(run_dir, tmp_path, rng, capsys):
    (tmp_path / "a.wav").write_bytes(b"not audio")
    soundfile.write(tmp_path / "b.wav", whistle("low", rng), RATE)
    assert run(predict, f"--run_dir={run_dir}", str(tmp_path / "a.wav"), str(tmp_path / "b.wav")) == 2
    captured = capsys.readouterr()
    assert "b.wav  low" in captured.out
    assert "a.wav" in captured.err


@pytest.fixture(scope="module")
def exported(run_dir, shards_dir):
    assert run(export_script, f"--run_dir={run_dir}", f"--shards_dir={shards_dir}") == 0
    return run_dir / "export"


@pytest.mark.slow
def test_exports_answer_as_the_model_does(exported, run_dir, rng):
    report = json.loads((exported / "report.json").read_text())
    assert report["saved_model"]["max_difference"] <= 1e-5
    assert report["litert"]["max_difference"] <= 1e-4
    config, model = load_model(run_dir)
    clip = np.zeros((1, config.num_samples), np.float32)
    clip[0, 2000:10000] = whistle("low", rng)
    expected = model.predict(clip, verbose=0)
    served = tf.saved_model.load(str(exported / "saved_model")).signatures["serving_default"](
        waveform=tf.constant(clip)
    )
    np.testing.assert_allclose(served["probabilities"], expected, atol=1e-5)
    assert served["label"].numpy() == [b"low"]
    threshold = json.loads((exported / "threshold.json").read_text())
    assert threshold["keywords"] == list(config.labels)
    assert served["threshold"].numpy() == np.float32(threshold["threshold"])
    assert served["accepted"].numpy() == [expected.max() >= threshold["threshold"]]
    assert [label.decode() for label in served["labels"].numpy()] == list(config.labels)
    np.testing.assert_allclose(litert.run(exported / "model.tflite", clip, "probabilities"), expected, atol=1e-4)
    assert (exported / "labels.txt").read_text().split() == list(config.labels)


def test_the_saved_model_answers_by_the_threshold_as_predict_does():
    config = Config(words=("yes", "no"), unknown=True)
    probabilities = np.array([[0.35, 0.1, 0.55], [0.25, 0.2, 0.55], [0.2, 0.8, 0.0]], np.float32)
    serve = exporting.serving_function(lambda waveform, training: probabilities, config, 0.3)
    served = serve(tf.zeros((3, config.num_samples)))
    assert served["accepted"].numpy().tolist() == [True, False, True]
    assert served["label"].numpy().tolist() == [b"yes", b"_unknown_", b"no"]


def test_an_export_that_differs_is_an_error():
    with pytest.raises(UserError, match="outputs differ .* by 0.01, allowed 0.0001"):
        graphs.compare("litert", np.zeros((2, 3)), np.full((2, 3), 0.01), 1e-4)
    with pytest.raises(UserError, match="outputs differ"):
        graphs.compare("litert", np.zeros((2, 3)), np.full((2, 3), np.nan), 1e-4)


def test_recordings_deeper_in_the_folder_of_a_word_have_that_word(run_dir, tmp_path, rng, capsys):
    for name in ("low/session1/a.wav", "high/b.wav", "high/deep/low_voices/c.wav"):
        (tmp_path / "words" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "words" / name, whistle(name.partition("/")[0], rng), RATE)
    flags = [f"--run_dir={run_dir}", "--output_format=json"]
    for root in ("words", "words/low"):
        assert app.run(predict.main, predict.define_flags, [*flags, str(tmp_path / root)]) == 0
        rows = json.loads(capsys.readouterr().out)
        truths = {row["path"].rpartition("/")[2]: row["true"] for row in rows}
        assert truths == ({"a.wav": "low", "b.wav": "high", "c.wav": "high"} if root == "words" else {"a.wav": "low"})

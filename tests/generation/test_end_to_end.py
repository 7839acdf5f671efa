"""Train, evaluate, generate and export as a user does, on music that takes seconds."""

import json
import logging
import os
import re
import resource
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.example_corpora.riffs import RATE, write_riffs
from common.cli import app
from generation import evaluate, export, generate, train

pytestmark = pytest.mark.slow  # all of it trains, or needs a trained run


def run(script, *arguments):
    return app.run(script.main, script.define_flags, list(map(str, arguments)))


@pytest.fixture(scope="module")
def train_flags(once):
    root = once("generation", lambda folder: write_riffs(folder / "music"))
    return [
        "--variant=tiny",
        "--corpus=folder",
        f"--data_dir={root / 'music'}",
        f"--shards_dir={root / 'shards'}",
        "--epochs=12",
        "--epoch_examples=64",
        "--monitor_epochs=4",
        "--learning_rate=0.002",
        "--discriminator_learning_rate=0.002",
    ]


@pytest.fixture(scope="module")
def run_dir(trained, train_flags):
    return trained("generator", train, train_flags)


def test_training_comes_nearer_and_leaves_everything(run_dir):
    history = pd.read_csv(run_dir / "history.csv")
    looks = history.dropna(subset=["frechet_distance"])
    assert list(looks["epoch"]) == [1, 4, 8, 12]
    assert looks["frechet_distance"].min() < 0.8 * looks["frechet_distance"].iloc[0]
    figures = json.loads((run_dir / "metrics.json").read_text())
    assert {"frechet_distance", "coverage", "floor", "protocol", "replays", "ndb"} <= set(figures)
    assert figures["protocol"]["num_tracks_shared_with_training"] == 0
    assert figures["lines"]["reduced"]["frechet_distance"] > figures["floor"]
    for name in (
        "history.png",
        "evolution.png",
        "model.keras",
        "corpus.json",
        "samples/epoch_0012.png",
        "samples/epoch_0012_1.wav",
    ):
        assert (run_dir / name).stat().st_size > 0, name
    assert not (run_dir / "backup").exists()


def test_the_dashboard_lets_hear_and_see(run_dir):
    shown = set()
    for folder in {path.parent for path in (run_dir / "tensorboard").rglob("events*")}:
        events = EventAccumulator(str(folder)).Reload()
        tags = events.Tags()
        if folder.name == "validation":
            assert [event.step for event in events.Tensors("evaluation/frechet_distance")] == [1, 4, 8, 12]
        shown |= {*tags["images"], *tags["audio"], *tags["scalars"], *tags["tensors"]}
    assert {"clips/samples", "clips/sample 1", "curves/generator_loss", "evaluation/evolution"} <= shown


def test_the_same_command_says_that_the_run_is_complete(run_dir, train_flags, caplog):
    with caplog.at_level(logging.INFO):
        assert run(train, *train_flags, f"--run_dir={run_dir}") == 0
    assert "is complete" in caplog.text


def test_pieces_are_written_and_the_seed_decides(run_dir, tmp_path):
    for folder in ("a", "b"):
        flags = ("--num_samples=2", "--seed=5", "--duration_seconds=2.5", f"--output_dir={tmp_path / folder}")
        assert run(generate, f"--run_dir={run_dir}", *flags) == 0
    first, rate = soundfile.read(tmp_path / "a/seed_0005.wav")
    assert rate == RATE and len(first) == round(2.5 * RATE) and 0.5 < np.abs(first).max() < 1
    np.testing.assert_array_equal(first, soundfile.read(tmp_path / "b/seed_0005.wav")[0])
    other, _ = soundfile.read(tmp_path / "a/seed_0006.wav")
    assert np.abs(first - other).max() > 0.01
    assert (tmp_path / "a/seed_0005.png").stat().st_size > 1000


def test_a_piece_that_cannot_be_written_does_not_end_the_others_and_none_replaces_another(run_dir, tmp_path, capsys):
    flags = (f"--run_dir={run_dir}", "--num_samples=2", f"--output_dir={tmp_path}")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        assert run(generate, *flags) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    errors = capsys.readouterr().err.splitlines()
    assert [name in line for name, line in zip(("seed_0000", "seed_0001", "2 of the pieces"), errors, strict=True)]
    (tmp_path / "seed_0001.png").write_text("mine")
    assert run(generate, *flags) == 2
    assert not (tmp_path / "seed_0000.wav").exists()
    assert (
        run(generate, *flags, "--overwrite") == run(generate, *flags) == run(generate, *flags, "--num_samples=3") == 0
    )
    assert run(generate, *flags, "--epoch=4") == 2
    assert "seed_0000.wav (and 3 more) exists, and this command did not write it" in capsys.readouterr().err


def test_the_way_from_one_piece_to_another(run_dir, tmp_path):
    flags = ("--num_samples=3", "--seed=1", "--to_seed=2", "--output_format=flac", f"--output_dir={tmp_path}")
    assert run(generate, f"--run_dir={run_dir}", *flags) == 0
    assert run(generate, f"--run_dir={run_dir}", "--num_samples=1", "--seed=2", f"--output_dir={tmp_path}") == 0
    last, _ = soundfile.read(tmp_path / "seed_0001_to_0002_02.flac")
    alone, _ = soundfile.read(tmp_path / "seed_0002.wav")
    assert np.abs(last[: len(alone)] - alone[: len(last)]).max() < 0.02


def test_an_earlier_epoch_sounds_otherwise(run_dir, tmp_path):
    for epoch in (1, 12):
        flags = (f"--epoch={epoch}", "--num_samples=1", f"--output_dir={tmp_path / str(epoch)}")
        assert run(generate, f"--run_dir={run_dir}", *flags) == 0
    early, late = (soundfile.read(tmp_path / epoch / "seed_0000.wav")[0] for epoch in ("1", "12"))
    assert np.abs(early - late).max() > 0.01


def test_evaluation_on_another_folder(run_dir, tmp_path, train_flags, capsys):
    other = write_riffs(tmp_path / "other", seed=7)
    flags = ("--corpus=folder", f"--data_dir={other}", "--split=all", "--num_samples=32", train_flags[3])
    assert run(evaluate, f"--run_dir={run_dir}", *flags, f"--output={tmp_path / 'figures.json'}") == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["protocol"]["num_test_tracks"] == 8 and figures["protocol"]["split"] == "all"
    assert "FAD-texture" in capsys.readouterr().out


def test_the_saved_model_takes_noise_a_seed_or_a_spectrogram(run_dir, tmp_path, train_flags):
    assert run(export, f"--run_dir={run_dir}", train_flags[3], "--split=all") == 0
    report = json.loads((run_dir / "export/report.json").read_text())
    for name in ("saved_model", "saved_model from_spectrogram"):
        assert report[name]["max_difference"] <= report[name]["tolerance"]
    assert report["protocol"]["split"] == "all"
    loaded = tf.saved_model.load(str(run_dir / "export/saved_model"))
    made = loaded.signatures["from_seed"](seed=tf.constant(5))["waveform"].numpy()[0]
    assert run(generate, f"--run_dir={run_dir}", "--num_samples=1", "--seed=5", f"--output_dir={tmp_path}") == 0
    written, _ = soundfile.read(tmp_path / "seed_0005.wav")
    made *= 0.9 / np.abs(made).max()
    assert np.abs(made[: len(written)] - written[: len(made)]).max() < 0.02


@pytest.mark.parametrize(
    ("script", "flags", "message"),
    [
        (generate, ("--num_samples=0",), "num_samples"),
        (generate, ("--epoch=5",), "no snapshot of epoch 5, expected one of the saved epochs: 1, 4, 8, 12"),
        (generate, ("--to_seed=3", "--num_samples=1"), "needs --num_samples of at least 2"),
        (generate, ("--output_dir=/proc/nothing",), "cannot write"),
        (evaluate, ("--corpus=folder", "--data_dir=/nowhere"), "is not a folder"),
        (export, ("--formats=onnx",), "unknown"),
    ],
)
def test_what_cannot_be_is_one_line(run_dir, script, flags, message, capsys):
    assert run(script, f"--run_dir={run_dir}", *flags) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1] and lines[-1].startswith("error: ")


# Without a discriminator that learns, samples vary less and less, run away, or come no nearer, or it tells nothing: which
# one is chance.
_FAULTS = re.compile(r"epoch (\d+): (samples (collapsed|diverged|do not improve)|discriminator does not separate)")


@pytest.mark.parametrize(
    ("answer", "rate", "said"),
    [
        ("stop", 0.05, "training stops and keeps the best epoch"),
        ("restore", 0.002, "best averaged weights and halved the learning rate"),
    ],
)
def test_a_collapse_provoked_on_purpose_is_answered(answer, rate, said, tmp_path, train_flags, caplog):
    flags = ("--epochs=4", "--monitor_epochs=1", f"--learning_rate={rate}", "--discriminator_learning_rate=0")
    flags += (f"--on_collapse={answer}", f"--run_dir={tmp_path / 'run'}")
    assert run(train, *train_flags, *flags) == 0
    first = _FAULTS.search(caplog.text)
    assert first and said in caplog.text
    num_epochs = len(pd.read_csv(tmp_path / "run/history.csv"))
    assert num_epochs == int(first[1]) if answer == "stop" else num_epochs > int(first[1])
    assert (tmp_path / "run/metrics.json").exists()


def test_a_killed_training_goes_on_where_it_was(tmp_path, train_flags):
    folder = tmp_path / "run"
    flags = [*train_flags, "--epochs=3", "--epoch_examples=32", f"--run_dir={folder}"]
    command = [sys.executable, "-m", "generation.train", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            if line.startswith("Epoch 2/"):
                os.kill(process.pid, signal.SIGKILL)
                break
    assert not (folder / "metrics.json").exists()
    assert run(train, *flags) == 0
    assert list(pd.read_csv(folder / "history.csv")["epoch"]) == [1, 2, 3]


def test_losses_that_are_no_numbers_are_answered_with_the_tracks(tmp_path, train_flags, caplog, capsys):
    """Both networks and both optimizers go back; where that does not help, one line says so."""
    flags = ("--learning_rate=1e30", "--discriminator_learning_rate=1e30", "--on_nan=restore")
    assert run(train, *train_flags, *flags, f"--run_dir={tmp_path / 'run'}") == 2
    assert caplog.text.count("restored the initial state, resuming with other batches") == 3
    error = capsys.readouterr().err
    assert "epoch 1, step" in error
    assert "/riff/riff.0000" in error
    assert "3 attempts with other batches failed: start over" in error

"""Train, evaluate, separate and export as a user does, on songs that take seconds."""

import io
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.example_corpora.songs import RATE, chord, drums, voice, write_songs
from common.cli import app
from separation import evaluate, export, predict, train, training
from separation.models import load_model

pytestmark = pytest.mark.slow  # all of it trains, or needs a trained run


def run(script, *arguments):
    return app.run(script.main, script.define_flags, list(map(str, arguments)))


@pytest.fixture(scope="module")
def folders(once):
    return once("separation", lambda root: write_songs(root / "songs", seconds=4.0))


@pytest.fixture(scope="module")
def train_flags(folders):
    return [
        "--variant=tiny",
        "--corpus=folder",
        f"--data_dir={folders / 'songs'}",
        f"--shards_dir={folders / 'shards'}",
        "--epochs=15",
        "--epoch_examples=40",
        "--learning_rate=0.01",
        "--ema_momentum=0.9",
    ]


@pytest.fixture(scope="module")
def run_dir(trained, train_flags):
    return trained("separator", train, train_flags)


@pytest.fixture
def song(tmp_path, rng):
    path = tmp_path / "song.wav"
    soundfile.write(path, sum(make(2.3, rng) for make in (voice, drums, chord)), RATE, subtype="FLOAT")
    return path


def test_training_learns_and_leaves_everything(run_dir):
    figures = json.loads((run_dir / "metrics.json").read_text())
    assert figures["si_sdr"]["vocals"] > 4 and figures["sdr"]["accompaniment"] > 3
    assert figures["protocol"]["num_groups_shared_with_training"] == 0
    for name in (
        "config.json",
        "history.csv",
        "history.png",
        "model.keras",
        "corpus.json",
        "test_tracks.csv",
        "test_sdr.png",
    ):
        assert (run_dir / name).stat().st_size > 0, name
    for name in ("mixture.wav", "vocals.wav", "accompaniment.wav", "example_spectrograms.png"):
        assert (run_dir / "example" / name).stat().st_size > 0, name
    assert not (run_dir / "backup").exists()
    history = pd.read_csv(run_dir / "history.csv")
    assert {"loss", "sdr", "vocals_sdr", "val_sdr", "val_vocals_sdr"} <= set(history.columns)


def test_the_dashboard_lets_hear_and_see(run_dir):
    tags = {"scalars": set(), "images": set(), "audio": set(), "tensors": set()}
    for folder in {path.parent for path in (run_dir / "tensorboard").rglob("events*")}:
        events = EventAccumulator(str(folder)).Reload()
        for kind in tags:
            tags[kind] |= set(events.Tags()[kind])
    shown = set().union(*tags.values())
    assert {"curves/loss", "curves/sdr", "evaluation/sdr_vocals", "evaluation/example_spectrograms"} <= shown
    assert {"clips/excerpt 1", "clips/excerpt 1 a: mixture"} <= shown
    assert {"clips/excerpt 1 b: vocals, true", "clips/excerpt 1 c: vocals, estimated"} <= shown


def test_the_same_command_again_trains_nothing(run_dir, train_flags, capsys):
    before = (run_dir / "model.keras").stat().st_mtime_ns
    assert run(train, *train_flags, f"--run_dir={run_dir}") == 0
    assert (run_dir / "model.keras").stat().st_mtime_ns == before
    assert "SI-SDR" in capsys.readouterr().out


def test_evaluate_repeats_the_figures_of_training_and_adds_oracles(run_dir, folders, capsys):
    flags = [f"--run_dir={run_dir}", f"--shards_dir={folders / 'shards'}", "--oracle"]
    assert run(evaluate, *flags, "--corpus=folder", f"--data_dir={folders / 'songs'}") == 0
    trained, evaluated = (json.loads((run_dir / name).read_text()) for name in ("metrics.json", "evaluation.json"))
    for name in ("sdr", "si_sdr", "usdr"):
        assert evaluated[name] == pytest.approx(trained[name], abs=1e-4)
    shared = "num_groups_shared_with_training"
    assert evaluated["protocol"][shared] == trained["protocol"][shared] == 0
    assert "ideal ratio mask (power)" in capsys.readouterr().out
    assert (run_dir / "evaluation_tracks.csv").exists()


def test_stems_are_written_at_the_songs_rate_channels_and_length(run_dir, song, tmp_path, capsys):
    waveform, _ = soundfile.read(song)
    stereo = tmp_path / "stereo.flac"
    soundfile.write(stereo, np.stack([waveform, 0.5 * waveform], axis=1).repeat(2, axis=0), 2 * RATE)
    flags = [f"--run_dir={run_dir}", f"--output_dir={tmp_path / 'stems'}", "--encoding=24", "--residual"]
    assert run(predict, *flags, song, stereo) == 0
    for name, channels, rate in (("song", 1, RATE), ("stereo", 2, 2 * RATE)):
        for stem in ("vocals", "accompaniment", "residual"):
            info = soundfile.info(tmp_path / "stems" / name / f"{stem}.wav")
            assert (info.channels, info.samplerate, info.subtype) == (channels, rate, "PCM_24")
            assert info.frames == len(waveform) * rate // RATE
    assert str(tmp_path / "stems" / "song" / "vocals.wav") in capsys.readouterr().out


def test_consistent_stems_sum_to_the_song(run_dir, song, tmp_path):
    flags = [f"--run_dir={run_dir}", f"--output_dir={tmp_path}", "--encoding=float", "--consistent", "--residual"]
    assert run(predict, *flags, song) == 0
    stems = {
        stem: soundfile.read(tmp_path / "song" / f"{stem}.wav")[0] for stem in ("vocals", "accompaniment", "residual")
    }
    waveform, _ = soundfile.read(song)
    np.testing.assert_allclose(stems["vocals"] + stems["accompaniment"], waveform, atol=1e-4)
    assert np.abs(stems["residual"]).max() < 1e-4


@pytest.mark.parametrize("consistent", [True, False])
def test_what_a_song_has_above_the_models_rate_is_not_lost(run_dir, tmp_path, rng, consistent):
    """Stems, with the residual or made consistent, sum to a stereo song of another rate."""
    path = tmp_path / "bright.wav"
    waveform = rng.uniform(-0.3, 0.3, (5 * RATE, 2)).astype(np.float32)
    soundfile.write(path, waveform, 3 * RATE, subtype="FLOAT")
    flags = [f"--run_dir={run_dir}", f"--output_dir={tmp_path}", "--encoding=float"]
    assert run(predict, *flags, "--consistent" if consistent else "--residual", path) == 0
    stems = [soundfile.read(stem)[0] for stem in (tmp_path / "bright").iterdir()]
    assert len(stems) == (2 if consistent else 3)
    np.testing.assert_allclose(sum(stems), waveform, atol=1e-4)


def test_an_excerpt_chosen_stems_and_a_template(run_dir, song, tmp_path):
    flags = [
        f"--run_dir={run_dir}",
        f"--output_dir={tmp_path}",
        "--offset_seconds=0.5",
        "--duration_seconds=1.25",
        "--stems=vocals",
    ]
    assert run(predict, *flags, "--template={stem} of {track}.{format}", "--output_format=flac", song) == 0
    assert soundfile.info(tmp_path / "vocals of song.flac").frames == round(1.25 * RATE)
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["song.wav", "vocals of song.flac"]


def test_standard_input_and_songs_of_one_name(run_dir, song, tmp_path, monkeypatch):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(song.read_bytes())))
    other = tmp_path / "other" / "song.wav"
    other.parent.mkdir()
    shutil.copy(song, other)
    assert run(predict, f"--run_dir={run_dir}", f"--output_dir={tmp_path / 'stems'}", "-", song, other) == 0
    assert sorted(path.name for path in (tmp_path / "stems").glob("[!.]*")) == ["song", "song_2", "standard_input"]
    found = [(tmp_path / "stems" / name / "vocals.wav").read_bytes() for name in ("song", "song_2", "standard_input")]
    assert found[0] == found[1] == found[2]


def test_exports_answer_as_the_model_does(run_dir, folders, capsys):
    assert run(export, f"--run_dir={run_dir}", f"--shards_dir={folders / 'shards'}") == 0
    report = json.loads((run_dir / "export" / "report.json").read_text())
    assert report["saved_model"]["max_difference"] < 1e-4 and report["litert"]["max_difference"] < 1e-4
    serve = tf.saved_model.load(str(run_dir / "export" / "saved_model")).signatures["serving_default"]
    config, _ = load_model(run_dir)
    # Songs of any length, several at once.
    stems = serve(mixture=tf.zeros((2, 3 * config.window_samples + 7, 1)))
    assert {name: value.shape for name, value in stems.items()} == dict.fromkeys(
        config.stems, (2, 3 * config.window_samples + 7, 1)
    )


def test_an_interrupted_training_goes_on(folders, train_flags, tmp_path, monkeypatch):
    flags = [*train_flags, "--epochs=1", "--epoch_examples=8", "--ema_momentum=0", f"--run_dir={tmp_path / 'run'}"]

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.evaluation, "evaluate_split", interrupt)
        assert run(train, *flags) == 130
    assert (tmp_path / "run" / "backup").exists() and not (tmp_path / "run" / "metrics.json").exists()
    assert run(train, *flags) == 0
    assert (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--variant=report", "--width=4", "--depth=3", "--epoch_examples=8"],
        ["--variant=spleeter", "--width=2", "--epoch_examples=8"],
        [
            "--stems=vocals,drums,other",
            "--mask=softmax",
            "--loss=magnitude_l1",
            "--num_channels=2",
            "--wiener_iterations=1",
        ],
        [
            "--stems=vocals",
            "--mask=spectrum",
            "--loss=si_sdr",
            "--max_pitch_semitones=1",
            "--max_tempo=0.1",
            "--sample_rate=4000",
        ],
    ],
    ids=["report", "spleeter", "three stems in stereo", "one stem"],
)
def test_variants_and_options_train(folders, tmp_path, flags):
    corpus = ["--corpus=folder", f"--data_dir={folders / 'songs'}", f"--shards_dir={folders / 'shards'}"]
    variant = [] if flags[0].startswith("--variant") else ["--variant=tiny"]
    small = ["--num_frames=64", "--batch_size=2", "--validation_excerpts=4"]
    assert run(train, *corpus, *variant, *small, *flags, "--epochs=1", f"--run_dir={tmp_path / 'run'}") == 0
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert np.isfinite(list(figures["sdr"].values())).all()
    assert ("window_accuracy" in figures) == ("--variant=report" in flags)

"""What an earlier version trained and exported still loads, and answers as it did."""

import json

import numpy as np
import pytest
import soundfile

from common.cli import app
from counting import predict as count
from generation import generate
from kws import predict as spot
from separation import predict as separate
from tests.saved import RUNS, recordings

ANSWERS = np.load(RUNS / "answers.npz")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return recordings(tmp_path_factory.mktemp("recordings"))


def run(script, *arguments):
    return app.run(script.main, script.define_flags, list(map(str, arguments)))


def test_words_are_as_they_were(inputs, capsys):
    assert run(spot, f"--run_dir={RUNS / 'kws'}", "--output_format=json", inputs / "clip.wav", inputs / "long.wav") == 0
    clip, long = json.loads(capsys.readouterr().out)
    before_clip, before_long = json.loads(str(ANSWERS["kws"]))
    assert (clip["word"], clip["accepted"]) == (before_clip["word"], before_clip["accepted"])
    for word, probability in before_clip["probabilities"].items():
        assert clip["probabilities"][word] == pytest.approx(probability, abs=1e-6)
    # The timeline decides earlier than it did: the words are the same, their windows may be neighbours.
    words = [item["word"] for item in long["detections"]]
    assert [item["word"] for item in before_long["detections"]] == words
    for item, before in zip(long["detections"], before_long["detections"], strict=True):
        assert item["start"] == pytest.approx(before["start"], abs=0.35)


def test_counts_are_as_they_were(inputs, capsys):
    arguments = [f"--run_dir={RUNS / 'counting'}", "--output_format=json", "--nomerge", "--smoothing_seconds=0"]
    assert run(count, *arguments, inputs / "talk.wav") == 0
    now, before = json.loads(capsys.readouterr().out)[0], json.loads(str(ANSWERS["counting"]))[0]
    assert now["count"] == before["count"]
    for stretch, earlier in zip(now["timeline"], before["timeline"], strict=True):
        assert stretch == pytest.approx(earlier, abs=2e-6)


def test_stems_are_as_they_were(inputs, tmp_path):
    arguments = [f"--run_dir={RUNS / 'separation'}", "--encoding=float", f"--output_dir={tmp_path}"]
    assert run(separate, *arguments, inputs / "song.wav") == 0
    for stem in ("vocals", "accompaniment"):
        waveform, _ = soundfile.read(tmp_path / "song" / f"{stem}.wav", dtype="float32")
        np.testing.assert_allclose(waveform[:: int(ANSWERS["step"])], ANSWERS[stem], atol=1e-6)


def test_music_is_as_it_was(tmp_path):
    arguments = [f"--run_dir={RUNS / 'generation'}", "--num_samples=1", "--duration=2", "--seed=5"]
    assert run(generate, *arguments, f"--output_dir={tmp_path}") == 0
    waveform, _ = soundfile.read(tmp_path / "seed_0005.wav", dtype="int16")
    # Griffin-Lim lets differences of the last bit grow.
    np.testing.assert_allclose(waveform[:: int(ANSWERS["step"])], ANSWERS["music"], atol=40)


@pytest.mark.parametrize("task", ["kws", "counting"])
def test_exported_files_of_earlier_versions_answer_alike(task, inputs):
    from common.export import litert

    waveform, _ = soundfile.read(inputs / "clip.wav", dtype="float32")
    received = litert.run(
        RUNS / task / "model.tflite", np.pad(waveform, (0, 16000 - len(waveform)))[None], "probabilities"
    )
    np.testing.assert_allclose(received[0], ANSWERS[f"{task}_probabilities"], atol=1e-5)

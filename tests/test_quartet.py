"""Quartet from Python, as its pages show it, on the small trained runs of `tests/saved`."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import quartet
from benchmarks.example_corpora import whistles
from common import audio
from common.errors import UserError
from tests.saved import RUNS, recordings

keras = pytest.importorskip("keras")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(
    scope="module", autouse=True, params=["float32", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)]
)
def policy(request):
    """What is loaded computes in float32 and leaves the precision of whoever loads it as it was."""
    keras.config.set_dtype_policy(request.param)
    yield
    assert keras.config.dtype_policy().name == request.param
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return recordings(tmp_path_factory.mktemp("recordings"))


def test_keyword_spotting(inputs):
    spotter = quartet.load(RUNS / "kws")
    answer = spotter.predict(inputs / "clip.wav")
    assert (answer.word, answer.accepted) == ("low", True)
    assert repr(answer).startswith("Detection(word='low', probability=0.9")
    assert repr(spotter).startswith("KeywordSpotter(3 words, 16000 Hz, threshold 0.")
    waveform, rate = audio.read(inputs / "clip.wav")
    assert spotter.predict(waveform, rate).word == "low"
    assert spotter.predict((waveform * 2**15).astype(np.int16), sample_rate=rate).word == "low"
    found = spotter.timeline(inputs / "long.wav")
    first = next(found)
    assert first.end - first.start == pytest.approx(1.0)
    assert len([first, *found]) == 4
    # Nothing is accepted, and words that are not accepted are in no timeline.
    assert not list(quartet.load(RUNS / "kws", threshold=1.0).timeline(inputs / "long.wav"))


def test_counting(inputs):
    counter = quartet.load(RUNS / "counting")
    assert counter.predict(inputs / "clip.wav").count in (1, 2)
    stretches = list(counter.timeline(inputs / "talk.wav", merge=False))
    assert (stretches[0].start, stretches[-1].end) == (0, pytest.approx(6.0, abs=0.01))
    assert all(stretch.female + stretch.male == stretch.count for stretch in stretches)
    assert [(one.start, one.end) for one in stretches[1:]] == [
        (before.end, after.end) for before, after in zip(stretches, stretches[1:], strict=False)
    ]


def test_separation(inputs, tmp_path):
    separator = quartet.load(RUNS / "separation")
    stems = separator.separate(inputs / "song.wav")
    mixture, rate = audio.read(inputs / "song.wav", mono=False)
    assert set(stems.names) == {"vocals", "accompaniment"} and stems.sample_rate == rate
    assert stems["vocals"].shape == mixture.shape
    assert stems == stems and len({stems, stems}) == 1
    for path in stems.save(tmp_path / "stems"):
        assert audio.info(path).num_samples == len(mixture)
    both = separator.separate(np.stack([mixture[:, 0]] * 2, axis=1), rate)
    np.testing.assert_allclose(both["vocals"][:, 1], stems["vocals"][:, 0], atol=1e-5)


def test_generation(tmp_path):
    generator = quartet.load(RUNS / "generation")
    piece = generator.generate(seed=5, seconds=2)
    # Whole frames.
    assert piece.seconds == len(piece.waveform) / piece.sample_rate == pytest.approx(2, abs=0.01)
    np.testing.assert_array_equal(piece.waveform, generator.generate(seed=5, seconds=2).waveform)
    assert np.abs(piece.waveform - generator.generate(seed=6, seconds=2).waveform).max() > 0.01
    piece.save(tmp_path / "piece.wav")
    assert audio.info(tmp_path / "piece.wav").duration_seconds == piece.seconds


def test_a_training_from_python_is_a_run_with_metrics(tmp_path, policy):
    from kws.config import VARIANTS

    whistles.write_words(tmp_path / "words", num_clips=6)
    config = dataclasses.replace(
        VARIANTS["tiny"], corpus="folder", data_dir=str(tmp_path / "words"), epochs=1, batch_size=4
    )
    options = quartet.Options(shards_dir=tmp_path / "shards")
    before = keras.config.dtype_policy().name
    run = quartet.train("kws", config, tmp_path / "run", options=options)
    assert keras.config.dtype_policy().name == before
    assert 0 <= run.metrics.accuracy <= 1 and run.metrics.accuracy == run.metrics.everything["accuracy"]
    assert repr(run).startswith(f"TrainedRun(task='kws', folder={run.folder!r}, metrics=Metrics(accuracy=")
    assert run.load().predict(tmp_path / "run" / "example.wav").word in run.config.labels
    assert quartet.train("kws", config, tmp_path / "run", options=options).metrics == run.metrics


def test_errors_speak_of_arguments(inputs, tmp_path):
    with pytest.raises(
        UserError, match=r"nowhere/config.json does not exist; expected the run directory of a training"
    ):
        quartet.load(tmp_path / "nowhere")
    shutil.copytree(RUNS / "kws", tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text('{"task": "chess"}')
    with pytest.raises(UserError, match="config.json: unknown task 'chess', expected one of kws, counting"):
        quartet.load(tmp_path / "run")
    with pytest.raises(UserError, match="task: expected one of kws, .*got 'kvs'. Did you mean \"kws\"?"):
        quartet.train("kvs")
    with pytest.raises(UserError, match="^variant: expected one of default, .*got 'tinny'. Did you mean \"tiny\"?"):
        quartet.train("kws", variant="tinny")
    from counting.config import Config as Other
    from kws.config import Config

    for wrong in ({"config": Other()}, {"config": {}}, {"options": {}}, {"variant": ["tiny"]}, {"run_dir": 11}):
        with pytest.raises(UserError, match=f"^{next(iter(wrong))}: expected "):
            quartet.train("kws", **wrong)
    with pytest.raises(UserError, match="^task: expected one of"):
        quartet.train(None)
    with pytest.raises(UserError, match="^on_nan: expected one of stop, restore, got 'restor'"):
        quartet.Options(on_nan="restor")
    with pytest.raises(UserError, match="^treshold: kws has no such option, only threshold"):
        quartet.load(RUNS / "kws", treshold=0.5)
    for threshold in ("0.5", float("nan"), 2):
        with pytest.raises(UserError, match="^threshold: expected a number from 0 to 1"):
            quartet.load(RUNS / "kws", threshold=threshold)
    with pytest.raises(UserError, match="^epoch: expected a whole number from 1"):
        quartet.load(RUNS / "generation", epoch="1")
    assert "or Options(resume=False) to start over" in str(UserError("the same flags, or --noresume to start over"))
    with pytest.raises(UserError, match="^epochs: expected at least 1, got 0"):
        Config(epochs=0)
    spotter = quartet.load(RUNS / "kws")
    with pytest.raises(UserError, match="^hop_seconds: expected at most"):
        spotter.timeline(inputs / "long.wav", hop_seconds=5.0)
    for wrong in (np.zeros(0, np.float32), np.full(16000, np.nan, np.float32), np.zeros((2, 3, 4), np.float32)):
        with pytest.raises(UserError):
            spotter.predict(wrong)


@pytest.mark.slow
def test_the_logging_of_a_program_is_its_own(tmp_path):
    program = (
        "import logging, sys, quartet; quartet.load(sys.argv[1]).predict(sys.argv[2])\n"
        "assert not logging.getLogger().handlers; logging.basicConfig(filename='mine.log')\n"
        "logging.error('mine')"
    )
    inputs = recordings(tmp_path)
    # A run without a threshold logs that it uses the default.
    shutil.copytree(RUNS / "kws", tmp_path / "run", ignore=shutil.ignore_patterns("threshold.json"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, tmp_path / "run", inputs / "clip.wav"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert "mine" in (tmp_path / "mine.log").read_text()


@pytest.mark.parametrize("hidden", ["common", "kws"])
def test_a_script_with_the_name_of_a_package_is_told(tmp_path, hidden):
    (tmp_path / f"{hidden}.py").touch()
    program = "import quartet; quartet.train('kws', run_dir='run')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert f"{hidden}.py hides Quartet's package `{hidden}`" in done.stderr.splitlines()[-1]


def test_the_version_is_that_of_the_distribution():
    assert quartet.__version__.count(".") == 2

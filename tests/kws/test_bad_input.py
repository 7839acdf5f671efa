"""What a user can get wrong: each gives its line on standard error and exit code 2, without a traceback."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from benchmarks.example_corpora.whistles import RATE, whistle, write_words
from common.cli import app
from kws import evaluate, export, predict, train
from tests.saved import RUNS

SAVED = RUNS / "kws"


@pytest.fixture
def fails(capsys):
    """Run an entry point that must fail, and return its one line."""

    def run(script, *arguments):
        assert app.run(script.main, script.define_flags, list(map(str, arguments))) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert lines
        return lines[-1]

    return run


@pytest.fixture
def train_folder(tmp_path, fails):
    """Train on a folder that must be refused, and return the line."""

    def run(root, *arguments):
        flags = ["--variant=tiny", "--corpus=folder", f"--data_dir={root}", f"--shards_dir={tmp_path / 'shards'}"]
        return fails(train, *flags, f"--run_dir={tmp_path / 'run'}", *arguments)

    return run


def test_no_folder_given(fails, tmp_path):
    assert "--corpus=folder needs --data_dir" in fails(train, "--corpus=folder", f"--run_dir={tmp_path}")


def test_a_folder_that_is_not_there(train_folder, tmp_path):
    assert f"{tmp_path / 'absent'}" in train_folder(tmp_path / "absent")


def test_no_audio_in_the_folder(train_folder, tmp_path):
    (tmp_path / "words" / "yes").mkdir(parents=True)
    (tmp_path / "words" / "yes" / "notes.txt").write_text("no audio")
    assert ".wav" in train_folder(tmp_path / "words")


def test_a_class_with_one_clip(train_folder, tmp_path):
    write_words(tmp_path / "words", ("low", "high"), num_clips=12)
    write_words(tmp_path / "words", ("rising",), num_clips=1)
    line = train_folder(tmp_path / "words")
    assert "rising" in line
    assert "1" in line


def test_only_unreadable_and_empty_files(train_folder, tmp_path):
    write_words(tmp_path / "words", ("low", "high"), num_clips=12)
    for path in (tmp_path / "words").rglob("*.wav"):
        path.write_bytes(b"")
    line = train_folder(tmp_path / "words")
    assert "cannot be used" in line
    assert "--max_rejected" in line


def test_nan_samples_are_rejected_with_their_reason(train_folder, tmp_path):
    write_words(tmp_path / "words", ("low", "high"), num_clips=12)
    for path in list((tmp_path / "words").rglob("*.wav"))[:6]:
        soundfile.write(path, np.full(1000, np.nan, np.float32), RATE, subtype="FLOAT")
    line = train_folder(tmp_path / "words")
    assert "NaN" in line
    assert "but --max_rejected allows 5%" in line


def test_a_misspelt_word(train_folder, corpus_dir):
    assert 'no recordings of the word "rissing"' in train_folder(corpus_dir, "--words=low,rissing")
    assert 'Did you mean "rising"?' in train_folder(corpus_dir, "--words=low,rissing")


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--epoch=3", "Did you mean: epoch_examples, epochs?"),
        ("--epochs=0", "--epochs: expected at least 1, got 0"),
        ("--model=bc_resnett", 'Did you mean "bc_resnet"?'),
        ("--corpus=speech_command", 'Did you mean "speech_commands"?'),
        ("--words=yes,yes", "yes is listed twice"),
        ("--variant=defualt", "default"),
        ("--precision=float8", "mixed_bfloat16"),
        ("--strategy=mirrored", "--strategy=mirrored needs several devices"),
        ("--corpus=folder --data_dir=a,b", "a,b is not a folder"),
        ("--corpus=folder,synthetic --data_dir=a,b,c", "--data_dir: expected 2 folders, one per corpus, got 3"),
    ],
)
def test_a_wrong_flag(fails, flag, expected, tmp_path):
    assert expected in fails(train, *flag.split(), f"--run_dir={tmp_path / 'run'}")


def test_a_run_directory_of_another_task(fails, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"task": "counting", "config": {}}))
    assert 'belongs to the task "counting"' in fails(evaluate, f"--run_dir={tmp_path}")
    assert 'belongs to the task "counting"' in fails(predict, f"--run_dir={tmp_path}", "a.wav")
    assert 'belongs to the task "counting"' in fails(export, f"--run_dir={tmp_path}")


def test_no_run_directory(fails, tmp_path):
    assert "--run_dir takes a folder that `python -m kws.train` made" in fails(evaluate, f"--run_dir={tmp_path}")


def test_a_run_directory_of_another_configuration(fails, run_dir, train_flags):
    line = fails(train, *train_flags, f"--run_dir={run_dir}", "--learning_rate=0.5")
    assert "learning_rate=0.003 (now 0.5)" in line
    assert "--noresume" in line


def test_an_unseen_word_that_nobody_says(train_folder, corpus_dir):
    line = train_folder(corpus_dir, "--words=low", "--unknown", "--unseen_words=risin")
    assert '--unseen_words: no recordings of "risin"' in line
    assert 'Did you mean "rising"?' in line


def test_no_background_folder(fails, run_dir, shards_dir, tmp_path):
    flags = [f"--run_dir={run_dir}", f"--shards_dir={shards_dir}", f"--background_dir={tmp_path / 'absent'}"]
    assert "absent is not a folder" in fails(evaluate, *flags)


def test_damaged_weights(fails, corpus_dir, tmp_path):
    shutil.copytree(SAVED, tmp_path / "run")
    (tmp_path / "run" / "model.keras").write_bytes(b"PK\x03\x04")
    assert "cannot load" in fails(predict, f"--run_dir={tmp_path / 'run'}", next(corpus_dir.rglob("*.wav")))


@pytest.mark.slow
def test_a_label_that_the_model_does_not_know(fails, run_dir, corpus_dir, shards_dir, tmp_path, rng):
    shutil.copytree(corpus_dir, tmp_path / "words")
    for number in range(4):
        path = tmp_path / "words" / "warble" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, whistle("low", rng), RATE)
    flags = [
        f"--run_dir={run_dir}",
        f"--shards_dir={shards_dir}",
        "--corpus=folder",
        f"--data_dir={tmp_path / 'words'}",
    ]
    line = fails(evaluate, *flags)
    assert 'contains the class "warble", expected only labels of the model: ' in line
    assert "high, low, rising" in line


def test_predict_without_files(fails):
    assert "no recording given" in fails(predict, f"--run_dir={SAVED}")


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "empty"), (b"not audio", "audio"), (None, "bad.wav")],
)
def test_predict_on_a_file_that_is_none(tmp_path, capsys, content, expected):
    path = tmp_path / "bad.wav"
    if content is not None:
        path.write_bytes(content)
    assert app.run(predict.main, predict.define_flags, [f"--run_dir={SAVED}", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert expected in next(line for line in lines if line.startswith("error: "))


def test_predict_on_nan_samples(tmp_path, capsys):
    soundfile.write(tmp_path / "nan.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    assert app.run(predict.main, predict.define_flags, [f"--run_dir={SAVED}", str(tmp_path / "nan.wav")]) == 2
    assert "NaN" in capsys.readouterr().err


def test_an_unknown_export_format(fails):
    assert 'Did you mean "litert"?' in fails(export, f"--run_dir={SAVED}", "--formats=litret")


@pytest.mark.slow
def test_clips_of_other_rates_and_channels_are_no_error(tmp_path, corpus_dir, rng):
    root = shutil.copytree(corpus_dir, tmp_path / "words")
    for number, path in enumerate(sorted((root / "low").iterdir())):
        rate = (8000, 16000, 44100)[number % 3]
        waveform = whistle("low", rng, rate=rate)
        soundfile.write(path, np.stack([waveform, waveform], 1) if number % 2 else waveform, rate)
    flags = ["--variant=tiny", "--corpus=folder", f"--data_dir={root}", f"--shards_dir={tmp_path / 'shards'}"]
    arguments = [*flags, f"--run_dir={tmp_path / 'run'}", "--epochs=1", "--batch_size=8"]
    assert app.run(train.main, train.define_flags, arguments) == 0
    rejected = (tmp_path / "run" / "rejected.csv").read_text().splitlines()
    assert rejected == ["path,reason"]

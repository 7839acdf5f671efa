"""What a user can get wrong is one line and exit code 2, and a stopped run resumes."""

import pandas as pd
import pytest
import soundfile

from benchmarks.example_corpora.voices import RATE, write_speakers
from common import config as configs
from common import runs
from common.cli import app
from counting import predict, train
from counting.config import TASK, Config
from counting.models import load_model
from tests.saved import RUNS


def run(script, *arguments):
    return app.run(script.main, script.define_flags, list(map(str, arguments)))


@pytest.fixture(scope="module")
def anonymous_dir(tmp_path_factory):
    """Speakers of whom nobody wrote down the sex."""
    folder = write_speakers(tmp_path_factory.mktemp("anonymous") / "buzz", seconds=1.5)
    (folder / "speakers.csv").unlink()
    return folder


@pytest.fixture(scope="module")
def silent_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("silent") / "silence"
    for number, split in enumerate(("train", "validation", "test") * 3):
        path = folder / split / f"speaker{number}" / "a.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, [0.0] * 2 * RATE, RATE)
    return folder


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--max_speakers=7"], "the validation split has 6 speakers"),
        (["--clip_seconds=4"], "voiced excerpts of 4.61 s, expected at least --max_speakers=2"),
        (["--max_speakers=1"], "--max_speakers: expected more than --min_speakers=1"),
        (["--corpus=libri"], "--corpus: expected one of synthetic, librispeech, folder, prepared"),
        (["--corpus=folder", "--data_dir="], "--corpus=folder needs --data_dir"),
        (["--data_dir=/nowhere"], "/nowhere"),
        (
            ["--model=countnet", "--clip_seconds=0.2", "--features=magnitude"],
            "--model=countnet does not support clips of 0.2",
        ),
        (["--heads=sex"], "did you mean: head"),
        (["--model=embedding"], "--model=embedding needs --embedding"),
    ],
)
def test_flags_that_cannot_be_are_one_line(flags, message, counting_flags, tmp_path, capsys):
    assert run(train, *counting_flags, "--max_speed=0.15", *flags, f"--run_dir={tmp_path / 'run'}") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message.lower() in error.lower()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_speakers_of_unknown_sex_are_counted_unless_the_head_is_given(
    anonymous_dir, counting_flags, tmp_path, capsys, caplog
):
    caplog.set_level("INFO")
    flags = [*counting_flags, f"--data_dir={anonymous_dir}", f"--run_dir={tmp_path / 'run'}"]
    assert run(train, *flags, "--head=sex") == 2
    assert "use --head=class" in capsys.readouterr().err
    short = [*flags, "--epochs=1", "--epoch_examples=16"]
    assert run(train, *short) == 0
    assert "the sex of every speaker is unknown, so the model counts speakers only" in caplog.text
    assert configs.load(Config, TASK, tmp_path / "run" / "config.json").head == "class"
    # The same command resumes the run, or finds it complete.
    (tmp_path / "run" / "metrics.json").unlink()
    assert run(train, *short) == 0


def test_silence_only_is_one_line(silent_dir, counting_flags, tmp_path, capsys):
    assert run(train, *counting_flags, f"--data_dir={silent_dir}", f"--run_dir={tmp_path / 'run'}") == 2
    assert "0 speakers with voiced excerpts" in capsys.readouterr().err


def test_predict_says_what_it_needs(tmp_path, capsys):
    assert run(predict, f"--run_dir={RUNS / 'counting'}") == 2
    assert "no recording given" in capsys.readouterr().err
    assert run(predict, f"--run_dir={RUNS / 'counting'}", tmp_path / "missing.wav") == 2
    assert "does not exist" in capsys.readouterr().err
    soundfile.write(tmp_path / "a.wav", [0.1] * 4 * RATE, RATE)
    assert run(predict, f"--run_dir={RUNS / 'counting'}", "--hop_seconds=2", tmp_path / "a.wav") == 2
    assert "hop_seconds: expected at most the model's clip" in capsys.readouterr().err
    assert run(predict, f"--run_dir={tmp_path}", tmp_path / "a.wav") == 2
    assert "config.json does not exist" in capsys.readouterr().err


@pytest.mark.slow
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(counting_flags, tmp_path, monkeypatch, capsys):
    flags = [*counting_flags, "--epochs=2", "--epoch_examples=48", "--model=m3"]
    assert run(train, *flags, f"--run_dir={tmp_path / 'whole'}") == 0
    save_state = runs.save_state

    def stop_after_saving(*arguments):
        save_state(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "save_state", stop_after_saving)
        assert run(train, *flags, f"--run_dir={tmp_path / 'stopped'}") == 130
    assert run(train, *flags, f"--run_dir={tmp_path / 'stopped'}") == 0
    whole, stopped = (pd.read_csv(tmp_path / name / "history.csv")["loss"] for name in ("whole", "stopped"))
    assert stopped.tolist() == pytest.approx(whole.tolist(), rel=1e-5)
    weights = [load_model(tmp_path / name)[1].get_weights() for name in ("whole", "stopped")]
    for one, other in zip(*weights, strict=True):
        assert one == pytest.approx(other, abs=1e-5)

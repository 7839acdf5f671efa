"""A head on somebody else's network: trained, interrupted, evaluated, tried and exported like any other run."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
from ai_edge_litert.interpreter import Interpreter

import quartet
from benchmarks.example_corpora.whistles import RATE, whistle
from common.cli import app
from common.encoders import pretrained, speech_embedding
from kws import evaluate, export, predict, train, training
from kws.models import load_model
from tests.litert_files import write_litert
from tests.yamnet import write_yamnet


def run(script, *arguments):
    return app.run(script.main, script.define_flags, list(map(str, arguments)))


@pytest.fixture(scope="module")
def yamnet(tmp_path_factory):
    return write_yamnet(tmp_path_factory.mktemp("saved_models") / "yamnet")


@pytest.fixture
def embed(corpus_dir, shards_dir, tmp_path):
    """Train a head on a network, and return the exit code."""

    def train_head(path, *flags):
        common = ["--variant=embedding", "--corpus=folder", f"--data_dir={corpus_dir}", f"--shards_dir={shards_dir}"]
        recipe = ["--epochs=2", "--batch_size=8", "--learning_rate=0.005", "--warmup_epochs=0"]
        return run(train, *common, *recipe, f"--run_dir={tmp_path / 'run'}", f"--embedding={path}", *flags)

    return train_head


def check_run(folder, shards_dir, tmp_path, rng, capsys):
    """Check that a run answers, and answers alike, wherever its network came from."""
    assert run(evaluate, f"--run_dir={folder}", f"--shards_dir={shards_dir}") == 0
    figures = [json.loads((folder / name).read_text()) for name in ("metrics.json", "evaluation.json")]
    assert figures[0]["accuracy"] == figures[1]["accuracy"]
    soundfile.write(tmp_path / "clip.wav", whistle("high", rng), RATE)
    capsys.readouterr()
    assert run(predict, f"--run_dir={folder}", "--output_format=json", tmp_path / "clip.wav") == 0
    assert json.loads(capsys.readouterr().out)[0]["word"] in ("low", "high", "rising")
    assert run(export, f"--run_dir={folder}", f"--shards_dir={shards_dir}") == 0
    report = json.loads((folder / "export" / "report.json").read_text())
    assert max(report[name]["max_difference"] for name in ("saved_model", "litert")) <= 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("fine_tune", [False, True])
def test_a_run_on_the_speech_embedding_needs_no_extra(
    fine_tune, corpus_dir, shards_dir, tmp_path, rng, capsys, monkeypatch
):
    if not pretrained.is_installed():
        pytest.skip("the extra `embedding` is not installed")
    flags = ["--variant=speech_embedding", "--corpus=folder", f"--data_dir={corpus_dir}", f"--shards_dir={shards_dir}"]
    flags += ["--epochs=2", "--batch_size=8", "--warmup_epochs=0", f"--fine_tune={str(fine_tune).lower()}"]
    assert run(train, *flags, f"--run_dir={tmp_path / 'run'}") == 0
    monkeypatch.setattr(pretrained, "is_installed", lambda: False)
    check_run(tmp_path / "run", shards_dir, tmp_path, rng, capsys)
    _, model = load_model(tmp_path / "run")
    kernel = model.get_layer(speech_embedding.NETWORK).get_weights()[0]
    monkeypatch.undo()
    assert (np.abs(kernel - pretrained.weights()[0]).max() > 1e-6) == fine_tune


@pytest.mark.slow
@pytest.mark.parametrize("fine_tune", [False, True])
def test_a_run_on_yamnet_needs_nothing_but_itself(embed, yamnet, fine_tune, shards_dir, tmp_path, rng, capsys):
    source = shutil.copytree(yamnet, tmp_path / "yamnet")
    assert embed(source, f"--fine_tune={str(fine_tune).lower()}") == 0
    shutil.rmtree(source)
    check_run(tmp_path / "run", shards_dir, tmp_path, rng, capsys)
    _, model = load_model(tmp_path / "run")
    values = next(weight for weight in model.weights if "values" in weight.name)
    published = np.random.default_rng(0).normal(0, 0.1, (64, 1024))
    assert (np.abs(values.numpy() - published).max() > 1e-4) == fine_tune


@pytest.mark.slow
def test_a_run_on_a_run_keeps_its_weights_and_learns_from_them(embed, run_dir, shards_dir, tmp_path, rng, capsys):
    assert embed(run_dir, "--epochs=10", "--learning_rate=0.02") == 0
    check_run(tmp_path / "run", shards_dir, tmp_path, rng, capsys)
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert figures["accuracy"] >= 0.8
    (_, source), (_, model) = load_model(run_dir), load_model(tmp_path / "run")
    kernels = [next(w.numpy() for w in found.weights if len(w.shape) == 4) for found in (source, model)]
    np.testing.assert_array_equal(*kernels)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_without_its_source(embed, yamnet, tmp_path, monkeypatch):
    source = shutil.copytree(yamnet, tmp_path / "yamnet")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.evaluation, "evaluate_split", interrupt)
    assert embed(source) == 130
    monkeypatch.undo()
    shutil.rmtree(source)
    assert embed(source) == 0
    assert pd.read_csv(tmp_path / "run" / "history.csv")["epoch"].tolist() == [1, 2]


@pytest.fixture(scope="module")
def tflite(tmp_path_factory):
    """A LiteRT file that takes a quarter of a second of 16 kHz."""
    return write_litert(tmp_path_factory.mktemp("litert") / "network.tflite", shapes=((1, 4000),))


@pytest.mark.slow
def test_a_run_on_a_litert_file_needs_nothing_but_itself(embed, tflite, shards_dir, tmp_path, rng, capsys, caplog):
    caplog.set_level("INFO")
    source = shutil.copy(tflite, tmp_path / "network.tflite")
    assert embed(source, "--embedding_tensor=pool/Mean") == 0
    assert "embedding.tflite: 6 values, 4 x 4,000 samples per clip" in caplog.text
    clip = whistle("high", rng)
    before = quartet.load(tmp_path / "run").predict(clip, sample_rate=RATE)
    source.unlink()
    folder = (tmp_path / "run").rename(tmp_path / "moved")
    check_run(folder, shards_dir, tmp_path, rng, capsys)
    spotter = quartet.load(folder)
    after = spotter.predict(clip, sample_rate=RATE)
    assert (after.word, after.probability) == (before.word, before.probability)
    soundfile.write(tmp_path / "long.wav", np.tile(clip, 5), RATE)
    assert run(predict, f"--run_dir={folder}", "--threshold=0.1", tmp_path / "long.wav") == 0
    assert spotter.timeline(tmp_path / "long.wav") is not None

    facts = json.loads((folder / "export" / "report.json").read_text())["embedding"]
    assert (facts["window_samples"], facts["window_starts"]) == (4000, [0, 4000, 8000, 12000])
    front_end = Interpreter(str(folder / "export" / facts["file"]))
    assert [one["shape"].tolist() for one in front_end.get_output_details()] == [[1, 6]]
    head = Interpreter(str(folder / "export" / "model.tflite"))
    assert [one["shape"].tolist() for one in head.get_input_details()] == [[1, 6]]


@pytest.mark.slow
def test_a_run_on_a_run_on_a_litert_file_keeps_both(embed, tflite, shards_dir, tmp_path, rng, capsys):
    assert embed(tflite, "--embedding_tensor=pool/Mean") == 0
    first = (tmp_path / "run").rename(tmp_path / "first")
    assert embed(first, "--fine_tune") == 2
    assert "--fine_tune: " in capsys.readouterr().err
    assert embed(first) == 0
    shutil.rmtree(first)
    check_run(tmp_path / "run", shards_dir, tmp_path, rng, capsys)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--embedding={other}"], "is not a LiteRT file (.tflite)"),
        (["--embedding={damaged}"], "is damaged; copy it again from its source"),
        (["--embedding={missing}"], "is not a folder or file; check the path"),
        (["--embedding={tflite}", "--fine_tune"], "no gradients and cannot be trained; leave --fine_tune out"),
        (["--embedding={tflite}", "--jit_compile"], "--jit_compile: XLA cannot compile"),
        (["--embedding={tflite}", "--embedding_tensor=pool"], "give one of its names, such as network/pool/Mean"),
        (["--embedding={picture}"], "takes float32 (1, 8, 8); expected one float32 waveform"),
        (["--embedding={run}", "--embedding_tensor=pool"], "--embedding_tensor is for a LiteRT file"),
        (["--model=m5", "--embedding_tensor=pool"], "--embedding_tensor is for --model=embedding, not --model=m5"),
    ],
)
def test_what_a_litert_file_cannot_do_is_refused_before_anything_is_written(
    embed, run_dir, tflite, flags, expected, tmp_path, capsys
):
    (tmp_path / "other.tflite").write_bytes(b"RIFF....WAVE")
    (tmp_path / "damaged.tflite").write_bytes(tflite.read_bytes()[:700])
    write_litert(tmp_path / "picture.tflite", lambda picture: picture + 1, ((1, 8, 8),))
    places = {name: tmp_path / f"{name}.tflite" for name in ("other", "damaged", "missing", "picture")}
    assert embed("", *(flag.format(**places, run=run_dir, tflite=tflite) for flag in flags)) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--embedding="], "--model=embedding needs --embedding"),
        (["--embedding={empty}"], "is neither a run directory (config.json, model.keras) nor a SavedModel"),
        (["--embedding={run}", "--clip_seconds=0.5"], "give --clip_seconds=1.0 --sample_rate=16000"),
        (["--embedding={run}", "--model=m5"], "--embedding is for --model=embedding, not --model=m5"),
    ],
)
def test_what_is_no_network_is_refused_before_anything_is_written(embed, run_dir, flags, expected, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    places = {"empty": tmp_path / "empty", "run": run_dir}
    assert embed("", *(flag.format(**places) for flag in flags)) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

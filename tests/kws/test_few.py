"""From a handful of recordings to a run that answers, and to an honest estimate of how well."""

import dataclasses
import json
import shutil
import subprocess
import sys
import types

import keras
import numpy as np
import pandas as pd
import pytest
import soundfile

import quartet
from benchmarks.example_corpora.whistles import RATE, whistle, write_words
from common import config as configs
from common.cli import app
from common.encoders import linear_heads, pretrained, speech_embedding
from common.errors import UserError
from common.training.options import Options
from kws import data, evaluate, export, few, left_out, predict, train
from kws.config import VARIANTS
from kws.models import load_model

WORDS = ("high", "low", "rising")
FEW = dataclasses.replace(VARIANTS["few"], words=WORDS, head="ridge")


@pytest.fixture(scope="module", autouse=True)
def installed():
    if not pretrained.is_installed():
        pytest.skip("the extra `embedding` is not installed")


def run(script, *arguments):
    return app.run(script.main, script.define_flags, list(map(str, arguments)))


@pytest.fixture
def fit(tmp_path, shards_dir):
    """Fit a run to a folder, and return its exit code."""

    def fit(root, *flags, name="run"):
        folders = [f"--data_dir={root}", f"--shards_dir={shards_dir}", f"--run_dir={tmp_path / name}"]
        return run(train, "--variant=few", *folders, *flags)

    return fit


def read(folder, name="metrics.json"):
    return json.loads((folder / name).read_text())


def windows_of(speakers, rng, noise=0.5):
    """Windows that tell who speaks and, of everyone in another way, what is said: (copies, clips, windows, 96)."""
    told = {(name, word): rng.normal(size=96) for name in set(speakers) for word in WORDS}
    rows = [(name, word) for name in speakers for word in WORDS]
    table = pd.DataFrame(rows, columns=["speaker", "label"]).assign(start=0.0, corpus="folder")
    table["path"] = [f"/{number}.wav" for number in range(len(rows))]
    windows = np.stack([told[row] + noise * rng.normal(size=(3, 9, 96)) for row in rows], axis=1)
    return windows.astype(np.float32), table


def choose(monkeypatch, windows, table, head="ridge"):
    monkeypatch.setattr(few, "compute_windows", lambda config, split, model: windows)
    return few.choose(dataclasses.replace(FEW, head=head), types.SimpleNamespace(table=table))


def test_the_estimate_is_that_for_other_speakers(monkeypatch, rng):
    """Each speaks twice and says every word in a way of their own: who knows the speaker is right, others can but guess."""
    windows, table = windows_of([f"speaker{number}" for number in range(8)] * 2, rng)
    chosen = choose(monkeypatch, windows, table)
    assert chosen.left_out.how == "leave one speaker out"
    assert chosen.left_out.accuracy < 0.65
    unnamed = choose(monkeypatch, windows, table.assign(speaker=""))
    assert unnamed.left_out.how == "leave one of 10 groups of recordings out"
    assert unnamed.left_out.accuracy > 0.95


def test_no_copy_of_a_left_out_recording_is_fitted(monkeypatch, rng):
    """Windows that have nothing in common but with their own copies."""
    windows, table = windows_of([f"speaker{number}" for number in range(12)], rng)
    assert choose(monkeypatch, windows, table).left_out.accuracy < 0.65
    assert choose(monkeypatch, windows, table.assign(speaker="")).left_out.accuracy < 0.65


def test_the_head_that_is_best_on_the_left_out_is_kept(monkeypatch, rng):
    windows, table = windows_of([f"speaker{number}" for number in range(6)] * 3, rng, noise=3.0)
    monkeypatch.setattr(few, "HEADS", linear_heads.NAMES)
    chosen = choose(monkeypatch, windows, table, head="auto")
    assert set(chosen.compared) == set(linear_heads.NAMES)
    best = max(one.accuracy for one in chosen.compared.values())
    assert chosen.left_out.accuracy == best == chosen.compared[chosen.name].accuracy
    tied = [one.cross_entropy for one in chosen.compared.values() if one.accuracy == best]
    assert chosen.left_out.cross_entropy == min(tied)


@pytest.mark.slow
def test_an_interrupted_run_keeps_its_head(monkeypatch, rng, tmp_path):
    windows, table = windows_of([f"speaker{number}" for number in range(6)] * 3, rng, noise=3.0)
    monkeypatch.setattr(few, "HEADS", linear_heads.NAMES)
    auto = dataclasses.replace(FEW, head="auto")
    assert few.kept_head(auto, tmp_path, Options()) == "auto"
    configs.save(dataclasses.replace(FEW, head="lda"), "kws", "few", tmp_path / "config.json")
    assert few.kept_head(auto, tmp_path, Options()) == "lda"
    assert few.kept_head(auto, tmp_path, Options(resume=False)) == "auto"
    monkeypatch.setattr(few, "compute_windows", lambda config, split, model: windows)
    for kept in linear_heads.NAMES:
        chosen = few.choose(auto, types.SimpleNamespace(table=table), kept)
        assert chosen.name == kept and len(chosen.compared) == 4


def test_the_temperature_is_chosen_on_the_left_out(monkeypatch, rng):
    windows, table = windows_of([f"speaker{number}" for number in range(10)], rng)
    out = choose(monkeypatch, windows, table).left_out
    # They are guesses, and the probabilities say so.
    assert out.probabilities.max(axis=1).mean() == pytest.approx(out.accuracy, abs=0.15)


def test_pooling_is_that_of_the_model(rng):
    inputs = keras.Input((98, 32))
    clips = rng.normal(0, 3, (2, 98, 32)).astype(np.float32)
    model = keras.Model(inputs, speech_embedding.speech_embedding(inputs, pooled=True))
    windows = keras.Model(inputs, model.get_layer(speech_embedding.WINDOWS).output).predict(clips, verbose=0)
    np.testing.assert_allclose(model.predict(clips, verbose=0), few.pool(windows), atol=1e-6)


@pytest.mark.slow
def test_a_handful_becomes_a_run_like_any_other(fit, tmp_path, rng, capsys, monkeypatch):
    root = write_words(tmp_path / "words", WORDS, num_clips=5)
    assert fit(root, "--head=lda") == 0
    folder = tmp_path / "run"
    figures, threshold = read(folder), read(folder, "threshold.json")
    assert figures["accuracy"] > 0.9 and figures["num_examples"] == 15
    assert figures["estimate"]["how"] == figures["protocol"]["split"] == "leave one speaker out"
    assert figures["estimate"]["accuracy_interval"] == figures["accuracy_interval"]
    assert "leave one speaker out" in threshold["split"]
    assert read(folder, "config.json")["config"]["head"] == "lda"
    output = capsys.readouterr().out
    assert "leave one speaker out" in output and "head lda" in output
    # The run has its own weights.
    monkeypatch.setattr(pretrained, "is_installed", lambda: False)
    spotter = quartet.load(folder)
    assert [spotter.predict(whistle(word, rng), sample_rate=RATE).word for word in WORDS] == list(WORDS)
    soundfile.write(tmp_path / "clip.wav", whistle("high", rng), RATE)
    assert run(predict, f"--run_dir={folder}", "--output_format=json", tmp_path / "clip.wav") == 0
    assert json.loads(capsys.readouterr().out)[0]["word"] == "high"
    # The same command again does nothing.
    monkeypatch.undo()
    before = (folder / "model.keras").stat().st_mtime_ns, (folder / "metrics.json").stat().st_mtime_ns
    assert fit(root, "--head=lda") == 0
    assert before == ((folder / "model.keras").stat().st_mtime_ns, (folder / "metrics.json").stat().st_mtime_ns)


@pytest.mark.slow
def test_the_model_that_is_written_gives_the_scores_of_the_head(tmp_path, shards_dir, monkeypatch):
    root = write_words(tmp_path / "words", WORDS, num_clips=3)
    config = dataclasses.replace(FEW, data_dir=str(root))
    fitted = []
    original = few.fit
    monkeypatch.setattr(few, "fit", lambda run, chosen: (original(run, chosen), fitted.append(chosen))[0])
    quartet.train("kws", config, tmp_path / "run", variant="few", options=Options(shards_dir=shards_dir))
    (chosen,) = fitted
    expected = linear_heads.probabilities(chosen.head.scores(chosen.windows[0]), chosen.left_out.temperature)
    saved, model = load_model(tmp_path / "run")
    corpus = data.load_corpus(saved, shards_dir)
    split = data.prepare_split(corpus, "train")
    np.testing.assert_allclose(model.predict(data.build_dataset(saved, split), verbose=0), expected, atol=1e-4)
    assert len(expected) == 9


def test_one_recording_of_each_word_answers_and_says_what_it_cannot(fit, tmp_path, rng, capsys):
    root = write_words(tmp_path / "words", WORDS, num_clips=1)
    assert fit(root) == 0
    assert "cannot be estimated from one recording of each word" in capsys.readouterr().out
    figures = read(tmp_path / "run")
    assert figures["estimate"]["how"] is None and "accuracy" not in figures
    stored = read(tmp_path / "run", "threshold.json")
    assert stored["split"].startswith("other words") and stored["threshold"] == pytest.approx(0.9 / 3**0.5)
    trained = quartet.train("kws", dataclasses.replace(VARIANTS["few"], data_dir=str(root)), tmp_path / "run")
    assert trained.metrics.accuracy is None
    assert trained.load().predict(whistle("low", rng), sample_rate=RATE).word == "low"


@pytest.mark.slow
def test_a_test_split_that_is_given_is_an_ordinary_test(fit, tmp_path, shards_dir, capsys):
    write_words(tmp_path / "words" / "train", WORDS, num_clips=4)
    write_words(tmp_path / "words" / "validation", WORDS, num_clips=2, seed=1)
    write_words(tmp_path / "words" / "test", WORDS, num_clips=6, seed=2)
    assert fit(tmp_path / "words", "--head=nearest_mean") == 0
    output = capsys.readouterr().out
    assert "estimated from the recordings that train, leave one speaker out" in output
    figures = read(tmp_path / "run")
    assert figures["protocol"]["split"] == "test" and figures["num_examples"] == 18
    # Validation trains, too.
    assert figures["estimate"]["num_recordings"] == 18
    assert (tmp_path / "run" / "test_confusion.png").exists()
    assert run(evaluate, f"--run_dir={tmp_path / 'run'}", f"--shards_dir={shards_dir}") == 0
    assert read(tmp_path / "run", "evaluation.json")["accuracy"] == figures["accuracy"]


@pytest.mark.slow
def test_a_run_without_a_test_split_is_evaluated_on_other_recordings(fit, tmp_path, shards_dir, capsys):
    assert fit(write_words(tmp_path / "words", WORDS, num_clips=2), "--head=ridge") == 0
    flags = [f"--run_dir={tmp_path / 'run'}", f"--shards_dir={shards_dir}"]
    assert run(evaluate, *flags) == 2
    assert "there is no test split" in capsys.readouterr().err
    others = write_words(tmp_path / "others", WORDS, num_clips=4, seed=1)
    assert run(evaluate, *flags, "--corpus=folder", f"--data_dir={others}", "--split=all") == 0
    assert read(tmp_path / "run", "evaluation.json")["num_examples"] == 12


@pytest.mark.slow
def test_an_interrupted_run_begins_again(fit, tmp_path):
    root = write_words(tmp_path / "words", WORDS, num_clips=2)
    assert fit(root, "--head=ridge") == 0
    folder = tmp_path / "run"
    first, weights = read(folder), load_model(folder)[1].get_weights()
    # As if it had been killed right after it had begun.
    for path in folder.iterdir():
        if path.name != "config.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert fit(root, "--head=ridge") == 0
    assert read(folder) == first
    for old, new in zip(weights, load_model(folder)[1].get_weights(), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-4)


@pytest.mark.slow
def test_silence_and_other_words_are_classes_too(fit, tmp_path, rng):
    root = write_words(tmp_path / "words", WORDS, num_clips=3)
    for number in range(3):
        (tmp_path / "noise").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "noise" / f"{number}.wav", rng.normal(0, 0.05, 4 * RATE), RATE)
    flags = ["--words=high,low", "--unknown", "--silence", f"--noise_dir={tmp_path / 'noise'}", "--head=ridge"]
    assert fit(root, *flags) == 0
    figures = read(tmp_path / "run")
    assert figures["protocol"]["labels"] == ["high", "low", "_silence_", "_unknown_"]
    assert {"_silence_", "_unknown_"} <= set(figures["rejection"]["stored_threshold"]["rejected"])
    assert figures["labels"]["_silence_"]["recall"] > 0.5


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": "bc_resnet"}, "--head=ridge is for --model=speech_embedding, not --model=bc_resnet"),
        ({"corpus": "synthetic"}, "--head=ridge is for recordings of words"),
        ({"fine_tune": True}, "--fine_tune is not for --head=ridge"),
        ({"num_teachers": 1}, "--num_teachers is not for --head=ridge"),
        ({"head": "tree"}, "--head: expected one of trained, auto, nearest_mean"),
    ],
)
def test_what_a_fitted_head_has_no_use_for_is_refused(changes, expected):
    with pytest.raises(UserError) as error:
        dataclasses.replace(FEW, **changes)
    assert expected in error.value.command_line


def test_without_the_extra_one_line_says_what_to_install(fit, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretrained, "is_installed", lambda: False)
    assert fit(write_words(tmp_path / "words", WORDS, num_clips=2)) == 2
    assert "pip install 'quartet-audio[embedding]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_unreadable_recordings_leave_nothing_behind(fit, tmp_path, capsys):
    root = write_words(tmp_path / "words", WORDS, num_clips=2)
    for path in root.rglob("*.wav"):
        path.write_bytes(b"")
    assert fit(root, "--head=ridge") == 2
    assert "cannot be used" in capsys.readouterr().err
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_word_whose_recordings_cannot_be_read_is_named(fit, tmp_path, capsys):
    root = write_words(tmp_path / "words", WORDS, num_clips=2)
    for path in (root / "low").glob("*.wav"):
        path.write_bytes(b"")
    assert fit(root, "--head=ridge", "--max_rejected=0.5") == 2
    assert 'no recording of "low" can be read' in capsys.readouterr().err


def test_several_workers_and_a_data_service_are_refused(monkeypatch):
    with pytest.raises(UserError, match="data_service"):
        few.check(Options(data_service="localhost:1"))
    monkeypatch.setattr(few.workers, "num_workers", lambda: 2)
    with pytest.raises(UserError, match="one process"):
        few.check(Options())


def test_synthetic_voices_join_and_are_never_left_out(tmp_path, shards_dir):
    root = write_words(tmp_path / "words", ("low", "high"), num_clips=2)
    config = dataclasses.replace(FEW, words=("low", "high"), corpus="folder,synthetic", data_dir=f"{root},")
    config = dataclasses.replace(config, clips_per_word=10)
    try:
        corpus = data.load_corpus(config, shards_dir)
    except UserError as error:
        pytest.skip(error.args[0])
    assert set(corpus.manifest["split"]) == {"train"} and len(corpus.manifest) == 24
    plan = left_out.divide(corpus.manifest)
    assert plan.scored.sum() == 4 and set(corpus.manifest["corpus"][plan.scored]) == {"folder"}


@pytest.mark.slow
def test_all_heads_are_tried_on_spoken_words_and_the_run_exports(tmp_path, shards_dir, fit):
    pytest.importorskip("espeakng_loader")
    from common.corpora import synthetic_words

    spoken = synthetic_words.index(tmp_path / "synthetic", ("lights on", "lights off"), num_clips_per_word=10)
    for label, rows in spoken.groupby("label"):
        target = tmp_path / "words" / label.replace(" ", "_")
        target.mkdir(parents=True)
        for number, path in enumerate(rows["path"][:5]):
            shutil.copy(path, target / f"voice{number}_nohash_0.wav")
    assert fit(tmp_path / "words") == 0
    figures = read(tmp_path / "run")
    assert len(figures["estimate"]["heads"]) == 5
    assert figures["estimate"]["head"] == read(tmp_path / "run", "config.json")["config"]["head"]
    assert run(export, f"--run_dir={tmp_path / 'run'}", f"--shards_dir={shards_dir}") == 0
    report = read(tmp_path / "run" / "export", "report.json")
    assert max(report[name]["max_difference"] for name in ("saved_model", "litert")) <= 1e-4
    # And as the layer of another training.
    embedding = ["--variant=embedding", f"--embedding={tmp_path / 'run'}", "--corpus=folder", "--epochs=1"]
    flags = [*embedding, f"--data_dir={tmp_path / 'words'}", f"--shards_dir={shards_dir}"]
    assert run(train, *flags, "--batch_size=2", f"--run_dir={tmp_path / 'second'}") == 0


@pytest.mark.slow
def test_convolutions_leave_their_history(fit, tmp_path):
    root = write_words(tmp_path / "words", WORDS, num_clips=3)
    assert fit(root, "--head=convolutions", "--epochs=2", "--epoch_examples=128") == 0
    assert pd.read_csv(tmp_path / "run" / "history.csv")["epoch"].tolist() == [1, 2]
    assert (tmp_path / "run" / "history.png").exists()


@pytest.mark.slow
def test_it_runs_under_a_strategy_of_several_devices(tmp_path, shards_dir):
    root = write_words(tmp_path / "words", WORDS, num_clips=3)
    program = (
        "import sys, tensorflow as tf; cpu = tf.config.list_physical_devices('CPU')[0];"
        "tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()]);"
        "from common.cli import app; from kws import train; sys.exit(app.run(train.main, train.define_flags, sys.argv[1:]))"
    )
    for head in ("ridge", "convolutions"):
        flags = [f"--data_dir={root}", f"--shards_dir={shards_dir}", f"--run_dir={tmp_path / head}", f"--head={head}"]
        flags += ["--variant=few", "--strategy=mirrored", "--epochs=2", "--epoch_examples=128"]
        subprocess.run([sys.executable, "-c", program, *flags], check=True)
        assert read(tmp_path / head)["num_examples"] == 9

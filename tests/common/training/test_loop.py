import dataclasses
import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from common import runs
from common.config import OptimizerConfig, TrainingConfig
from common.corpora import manifest
from common.distribution import workers
from common.errors import UserError
from common.files import locks
from common.reporting import plots, tensorboard
from common.training import averages, callbacks, loop, optimizers
from common.training.options import Options

CONFIG = OptimizerConfig(epochs=4, batch_size=8, learning_rate=0.01, schedule="cosine", warmup_epochs=1)
STEPS = 5


@pytest.fixture(autouse=True)
def seeded():
    loop.prepare(CONFIG)
    yield
    keras.config.set_dtype_policy("float32")


def build_model(config=CONFIG):
    """A tiny network with everything that has state: weights, statistics, dropout's random generator."""
    keras.utils.set_random_seed(config.seed)
    inputs = keras.Input((6,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(8, activation="relu")(inputs))
    outputs = keras.layers.Dense(2, activation="softmax", dtype="float32")(keras.layers.Dropout(0.3)(hidden))
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizers.build_optimizer(config, STEPS),
        "categorical_crossentropy",
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        steps_per_execution=optimizers.steps_per_execution(STEPS),
    )
    return model


def examples(epoch, count):
    inputs = tf.random.stateless_normal((count, 6), [7, epoch])
    return inputs, tf.one_hot(tf.cast(inputs[:, 0] > 0, tf.int32), 2)


def train_data(first_step):
    epochs = tf.data.Dataset.range(first_step // STEPS, 1000)
    return epochs.flat_map(
        lambda epoch: tf.data.Dataset.from_tensor_slices(examples(tf.cast(epoch, tf.int32), 40)).batch(8)
    )


def validation_data():
    return tf.data.Dataset.from_tensor_slices(examples(-1, 40)).batch(8)


class Kill(keras.callbacks.Callback):
    """Stop in the middle of an epoch, as a kill does."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def fit(run, model, monitor="val_accuracy", callbacks=()):
    loop.fit(run, loop.Setup(model, train_data, validation_data(), STEPS, monitor, callbacks=callbacks), Options())


def steps(folder, split, tag):
    """The steps at which TensorBoard shows a tag."""
    events = EventAccumulator(str(folder / "tensorboard" / split), size_guidance={"tensors": 0}).Reload()
    return [event.step for event in events.Tensors(tag)]


def train(folder, config=CONFIG, callbacks=()):
    run = runs.start(folder, config, "kws", "default")
    model = build_model(config)
    fit(run, model, callbacks=tuple(callbacks))
    return run, model


@pytest.fixture(scope="module")
def fitted_dir(tmp_path_factory):
    loop.prepare(CONFIG)
    return train(tmp_path_factory.mktemp("trained") / "run")[0].folder


@pytest.fixture
def trained_run(fitted_dir, tmp_path):
    """A run that is trained but not finished, a copy for each test."""
    return runs.start(shutil.copytree(fitted_dir, tmp_path / "run"), CONFIG, "kws", "default")


def test_training_leaves_history_best_weights_and_dashboard(trained_run):
    run = trained_run
    table = pd.read_csv(run.folder / "history.csv")
    assert table["epoch"].tolist() == [1, 2, 3, 4]
    assert {"loss", "val_accuracy", "learning_rate", "examples_per_second"} <= set(table.columns)
    assert table["val_loss"].iloc[-1] < table["val_loss"].iloc[0]
    assert run.model_path.exists()
    for split in ("train", "validation"):
        assert steps(run.folder, split, "curves/loss") == [1, 2, 3, 4]
    assert steps(run.folder, "train", "training/learning_rate") == [1, 2, 3, 4]


def test_a_resumed_training_goes_on_with_the_same_curves(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", callbacks=[Kill(epoch=2)])
    # What a kill after the curves were written and before the epoch was backed up leaves.
    curves = tensorboard.Curves(tmp_path / "run/tensorboard")
    curves.on_train_begin()
    curves.on_epoch_end(2, {"loss": 1.0, "val_loss": 1.0})
    train(tmp_path / "run")
    for split in ("train", "validation"):
        assert steps(tmp_path / "run", split, "curves/loss") == [1, 2, 3, 4]


@pytest.mark.parametrize("averaged", [0.0, 0.9])
def test_a_step_is_traced_once(tmp_path, monkeypatch, averaged):
    """Tracing a large network takes longer than an epoch of a small corpus."""
    traces = []
    apply_gradients = keras.optimizers.Adam.apply_gradients
    counted = lambda self, *args, **kwargs: traces.append(1) or apply_gradients(self, *args, **kwargs)  # noqa: E731
    monkeypatch.setattr(keras.optimizers.Adam, "apply_gradients", counted)
    train(tmp_path / "run", dataclasses.replace(CONFIG, ema_momentum=averaged))
    assert len(traces) == 1


def test_a_state_has_the_same_variables_however_often_it_is_saved():
    keras.config.set_dtype_policy("mixed_float16")
    model = build_model()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    first = runs.state_variables(model)
    assert [id(variable) for variable in runs.state_variables(model)] == [id(variable) for variable in first]


def test_several_workers_refuse_xla_at_once(monkeypatch):
    monkeypatch.setattr(workers, "num_workers", lambda: 2)
    with pytest.raises(UserError, match="jit_compile: XLA does not support several workers"):
        loop.prepare(TrainingConfig(jit_compile=True))


def test_every_weight_moves(tmp_path):
    before = build_model().get_weights()
    _, model = train(tmp_path / "run")
    for old, new in zip(before, model.get_weights(), strict=True):
        assert not np.array_equal(old, new)


def test_the_model_is_left_with_the_weights_of_the_best_epoch(tmp_path):
    run, model = train(tmp_path / "run")
    best = pd.DataFrame(run.history)["val_accuracy"].max()
    assert model.evaluate(validation_data(), verbose=0, return_dict=True)["accuracy"] == pytest.approx(best)


def test_the_last_epoch_is_kept_on_request(tmp_path):
    run = runs.start(tmp_path / "run", dataclasses.replace(CONFIG, keep_epoch="last"), "kws", "default")
    model = build_model()
    # The loss falls, so that the best epoch, were the loss what one wants, is the first.
    fit(run, model, "val_loss")
    losses = pd.DataFrame(run.history)["val_loss"]
    assert losses.iloc[-1] < losses.iloc[0]
    kept = model.evaluate(validation_data(), verbose=0, return_dict=True)["loss"]
    assert kept == pytest.approx(losses.iloc[-1])


AVERAGED = dataclasses.replace(CONFIG, ema_momentum=0.7)
MUON = dataclasses.replace(AVERAGED, optimizer="muon", weight_decay=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("config", [CONFIG, AVERAGED, MUON], ids=["plain", "averaged", "muon"])
def test_a_resumed_training_equals_an_undisturbed_one_bit_for_bit(tmp_path, config):
    undisturbed, _ = train(tmp_path / "undisturbed", config)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", config, callbacks=[Kill(epoch=2)])
    resumed, _ = train(tmp_path / "killed", config)
    assert [row["epoch"] for row in resumed.history] == [1, 2, 3, 4]
    for row, expected in zip(resumed.history, undisturbed.history, strict=True):
        assert {**row, "examples_per_second": 0} == {**expected, "examples_per_second": 0}
    with np.load(undisturbed.state_path) as expected, np.load(resumed.state_path) as received:
        for name in expected.files:
            if name != "progress":
                np.testing.assert_array_equal(received[name], expected[name], err_msg=name)


class Weights(keras.callbacks.Callback):
    """Note the first weight after every step, and what validation sees in its place."""

    def __init__(self):
        super().__init__()
        self.steps, self.validated = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.model.trainable_variables[0].numpy())

    def on_test_batch_end(self, batch, logs=None):
        self.validated.append(self.model.trainable_variables[0].numpy())


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_the_moving_average_of_the_weights_is_validated_and_kept(tmp_path, precision):
    config = dataclasses.replace(AVERAGED, keep_epoch="last", precision=precision)
    loop.prepare(config)
    run = runs.start(tmp_path / "run", config, "kws", "default")
    model, weights = build_model(config), Weights()
    model.steps_per_execution = 1
    fit(run, model, callbacks=(weights,))
    average = weights.steps[0]
    for step in weights.steps[1:]:
        average = 0.7 * average + 0.3 * step
    assert np.abs(average - weights.steps[-1]).max() > 1e-3
    for kept in (weights.validated[-1], keras.saving.load_model(run.model_path).trainable_variables[0].numpy()):
        np.testing.assert_allclose(kept, average, atol=1e-5)


@pytest.mark.parametrize(("epochs", "momentum"), [(1, 0.0), (2, 0.5), (20, 0.95), (1000, 0.999)])
def test_an_average_reaches_back_over_a_fifth_of_a_training_at_most(epochs, momentum):
    config = dataclasses.replace(CONFIG, ema_momentum=0.999, epochs=epochs)
    assert optimizers.build_optimizer(config, STEPS).ema_momentum == pytest.approx(momentum)


def test_averaged_weights_are_validated_with_statistics_of_their_own(tmp_path):
    """Those of the last steps' weights are others."""
    config = dataclasses.replace(AVERAGED, epochs=2, ema_momentum=0.5, learning_rate=0.03)
    run, model = train(tmp_path / "run", config)
    normalization = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    inside = keras.Model(model.input, normalization.input)
    values = [inside(inputs, training=False).numpy() for inputs, _ in train_data(0).take(averages.NUM_BATCHES)]
    np.testing.assert_allclose(normalization.moving_mean, np.mean([v.mean(0) for v in values], 0), atol=1e-5)
    np.testing.assert_allclose(normalization.moving_variance, np.mean([v.var(0) for v in values], 0), atol=1e-5)


def test_a_run_of_another_configuration_is_refused_and_kept(trained_run, tmp_path):
    before = (tmp_path / "run" / "history.csv").read_text()
    with pytest.raises(UserError, match=r"was trained with learning_rate=0.01 \(now 0.1\)"):
        runs.start(tmp_path / "run", dataclasses.replace(CONFIG, learning_rate=0.1), "kws", "default")
    with pytest.raises(UserError, match='belongs to the task "kws", not "counting"'):
        runs.start(tmp_path / "run", CONFIG, "counting", "default")
    assert (tmp_path / "run" / "history.csv").read_text() == before


def test_another_spelling_of_the_same_folder_is_no_other_configuration(tmp_path, monkeypatch):
    """Earlier versions stored paths as they were given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words").mkdir()
    (tmp_path / "link").symlink_to("words")
    runs.start(tmp_path / "run", dataclasses.replace(CONFIG, data_dir="words"), "kws", "default")
    path = tmp_path / "run" / "config.json"
    assert json.loads(path.read_text())["config"]["data_dir"] == str(tmp_path / "words")
    path.write_text(path.read_text().replace(str(tmp_path / "words"), "words"))
    for same in ("words", "./words/", "run/../words", "link", str(tmp_path / "words")):
        runs.start(tmp_path / "run", dataclasses.replace(CONFIG, data_dir=same), "kws", "default")
    with pytest.raises(UserError, match="was trained with data_dir="):
        runs.start(tmp_path / "run", dataclasses.replace(CONFIG, data_dir="other"), "kws", "default")


def test_a_folder_of_somebody_else_is_no_run_directory(tmp_path):
    runs.check_folder(tmp_path)
    (tmp_path / "example").mkdir()
    with pytest.raises(UserError, match=r"example exists but .* is not a run: config\.json is missing"):
        runs.check_folder(tmp_path)
    (tmp_path / "config.json").touch()
    runs.check_folder(tmp_path)
    locks.release(tmp_path)


def test_a_corpus_that_changed_is_told_where_a_run_goes_on(tmp_path, caplog):
    def start(num_clips):
        rows = [{"path": f"/corpus/{number}.wav", "split": "train", "label": "yes"} for number in range(num_clips)]
        return runs.start(tmp_path / "run", CONFIG, "kws", "default", manifest=manifest.from_rows(rows))

    start(2)
    run = start(3)  # before the first epoch is complete, the run has not begun
    runs.save_state(run, build_model(CONFIG))
    start(3)
    assert "changed" not in caplog.text
    start(5)
    assert "the corpus has changed since this run began (train yes 3, now 5); training continues" in caplog.text
    caplog.clear()
    (tmp_path / "run" / "corpus.json").unlink()
    start(7)  # as an earlier version left it
    assert "changed" not in caplog.text


def test_starting_over_moves_the_earlier_run_aside(trained_run, tmp_path):
    run = runs.start(tmp_path / "run", CONFIG, "kws", "default", resume=False)
    assert run.epoch == 0
    assert not run.model_path.exists()
    aside = [path for path in tmp_path.glob("[!.]*") if path.name != "run"]
    assert len(aside) == 1
    assert (aside[0] / "history.csv").exists()


def test_a_damaged_backup_is_one_line(trained_run, tmp_path):
    run = trained_run
    run.state_path.write_bytes(run.state_path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"cannot read the backup .*\(resume=False\) starts over"):
        runs.start(tmp_path / "run", CONFIG, "kws", "default")


def test_finishing_writes_the_figures_and_removes_the_backup(trained_run, tmp_path):
    run = trained_run
    runs.finish(run, {"accuracy": 0.5})
    assert json.loads(run.metrics_path.read_text()) == {"accuracy": 0.5}
    assert not run.state_path.parent.exists()
    assert runs.start(tmp_path / "run", CONFIG, "kws", "default").complete


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", None])
def test_damaged_or_missing_weights_are_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(UserError, match="model.keras"):
        runs.load_weights(build_model(), tmp_path)


def test_the_schedule_warms_up_and_falls_to_zero():
    schedule = optimizers.build_optimizer(CONFIG, STEPS)._learning_rate
    rates = [float(schedule(step)) for step in range(4 * STEPS + 1)]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(0.01, rel=0.02)
    assert np.argmax(rates) == STEPS
    assert rates[-1] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("steps", "expected"), [(1, 1), (7, 7), (11, 1), (26, 2), (40, 10), (45, 9)])
def test_steps_per_execution_divides_the_epoch(steps, expected):
    assert optimizers.steps_per_execution(steps) == expected


def test_a_concluded_run_is_complete_and_shows_its_pictures_and_figures(trained_run):
    run = trained_run
    plots.save(plots.timeline(np.arange(3), pd.DataFrame({"all": [1, 2]}), "count"), run.folder / "test_timeline.png")
    pictures = [run.folder / "test_timeline.png", run.folder / "no_picture.csv"]
    history = plots.history(pd.DataFrame(run.history), ("loss",))
    for _ in range(2):  # the first time may have been interrupted before the end
        loop.conclude(run, ("default", CONFIG), {"accuracy": 0.5}, pictures, history, {"accuracy": 0.5})
    assert run.complete and runs.read_metrics(run)["accuracy"] == 0.5
    assert (run.folder / "history.png").exists()
    for tag in ("evaluation/timeline", "evaluation/accuracy"):
        assert steps(run.folder, "test", tag) == [4]


def test_the_time_left_is_that_of_the_whole_training(monkeypatch, caplog):
    caplog.set_level("INFO")
    now = [0.0]
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: now[0])
    left = callbacks.TimeLeft(10)
    left.on_train_begin()
    for epoch, seconds in enumerate((90.0, 30.0, 30.0, 30.0, 30.0, 30.0)):
        left.on_epoch_begin(epoch)
        now[0] += seconds
    # Every minute, in a log; the first epoch counts only until there is another.
    assert [record.getMessage() for record in caplog.records] == [
        "1 of 10 epochs done, about 13 min 30 s left",
        "3 of 10 epochs done, about 3 min 30 s left",
        "5 of 10 epochs done, about 2 min 30 s left",
    ]

import dataclasses
import logging

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from common import runs
from common.config import OptimizerConfig
from common.errors import UserError
from common.training import loop, optimizers, watchdog
from common.training.options import Options

CONFIG = OptimizerConfig(epochs=3, batch_size=8, learning_rate=0.01, optimizer="sgd")
STEPS = 6
BAD_STEP, BAD_EXAMPLE = 8, 3  # step 3 of epoch 2


@pytest.fixture(autouse=True)
def seeded():
    loop.prepare(CONFIG)
    yield
    keras.config.set_dtype_policy("float32")


def build_model(config, steps_per_execution=1, plain=False):
    """A line, unless plain with everything that has state: statistics, dropout's random generator."""
    keras.utils.set_random_seed(config.seed)
    layers = [] if plain else [keras.layers.BatchNormalization(), keras.layers.Dropout(0.1)]
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    model.compile(optimizers.build_optimizer(config, STEPS), "mse", steps_per_execution=steps_per_execution)
    return model


def stream(bad=(), shifted=0):
    """Batches of which those of some numbers hold a NaN; behind the first epoch so many are left out."""

    def batch(step):
        step = tf.where(step >= STEPS, step + shifted, step)
        inputs = tf.random.stateless_normal((8, 3), [3, tf.cast(step, tf.int32)])
        is_bad = tf.reduce_any(step == tf.constant([-1, *bad], tf.int64))
        spoilt = tf.tensor_scatter_nd_update(inputs, [[BAD_EXAMPLE, 1]], [float("nan")])
        return tf.where(is_bad, spoilt, inputs), tf.reduce_sum(inputs, axis=1, keepdims=True)

    return lambda first: tf.data.Dataset.range(first, 1000).map(batch)


def batch_files(step):
    return [f"clip {step}.{example}" for example in range(8)]


class Kill(keras.callbacks.Callback):
    """Stop in the middle of an epoch, as a kill does."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def fit(run, model, batches, options=Options(), steps=STEPS, **watched):  # noqa: B008
    setup = loop.Setup(model, batches, stream()(500).take(2), steps, "val_loss", "min", **watched)
    loop.fit(run, setup, options)


def train(folder, batches, on_nan="stop", config=CONFIG, callbacks=(), steps_per_execution=1):
    run = runs.start(folder, config, "kws", "default")
    model = build_model(config, steps_per_execution)
    fit(run, model, batches, Options(on_nan=on_nan), callbacks=tuple(callbacks), batch_files=batch_files)
    return run


def state(run):
    with np.load(run.state_path) as arrays:
        return {name: arrays[name] for name in arrays.files if name != "progress"}


def assert_same_state(received, expected):
    received, expected = state(received), state(expected)
    for name in expected:
        np.testing.assert_array_equal(received[name], expected[name], err_msg=name)


def test_a_bad_batch_stops_with_epoch_step_file_and_way_out(tmp_path):
    with pytest.raises(UserError) as caught:
        train(tmp_path / "run", stream([BAD_STEP]))
    line = caught.value.command_line
    assert "epoch 2, step 3 of 6: the loss is NaN; it was " in line
    assert "example 4 of step 3 has values that are NaN" in line
    assert "it was read from clip 8.3 " in line
    assert "epoch 1 is saved; the same command with --on_nan=restore" in line
    assert "start over (--noresume, or another --run_dir) with a smaller --learning_rate (now 0.01)" in line
    assert "--precision" not in line
    listed = pd.read_csv(tmp_path / "run" / "bad_batches.csv")
    assert listed["files"].tolist() == batch_files(7) + batch_files(8)
    assert listed["step"].tolist() == 8 * [2] + 8 * [3]


def test_what_the_line_promises_is_true(tmp_path):
    """The last complete epoch is kept and finite, and the same command with the other flag ends well."""
    with pytest.raises(UserError):
        train(tmp_path / "run", stream([BAD_STEP]))
    kept = runs.start(tmp_path / "run", CONFIG, "kws", "default")
    assert kept.epoch == 1
    assert all(np.isfinite(array).all() for array in state(kept).values())
    with pytest.raises(UserError, match="epoch 2, step 3 of 6"):
        train(tmp_path / "run", stream([BAD_STEP]))
    run = train(tmp_path / "run", stream([BAD_STEP]), "restore")
    assert pd.read_csv(run.folder / "history.csv")["restores"].tolist() == [0, 1, 0]
    with pytest.raises(UserError, match="was trained with learning_rate"):
        train(tmp_path / "run", stream(), config=dataclasses.replace(CONFIG, learning_rate=0.001))


def test_a_restored_training_equals_one_whose_batches_go_on_behind_the_bad_one(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        restored = train(tmp_path / "restored", stream([BAD_STEP]), "restore")
    assert (
        "restored the end of epoch 1, resuming with other batches (--on_nan=restore, attempt 1 of at most 3)"
        in caplog.text
    )
    assert_same_state(restored, train(tmp_path / "clean", stream(shifted=3)))


def test_an_averaged_network_is_measured_behind_the_bad_batch(tmp_path):
    config = dataclasses.replace(CONFIG, ema_momentum=0.9, epochs=2)
    restored = train(tmp_path / "restored", stream([BAD_STEP]), "restore", config)
    assert np.isfinite([row["val_loss"] for row in restored.history][1])


@pytest.mark.parametrize("epoch", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_restored_training_goes_on_after_an_interruption(tmp_path, epoch):
    undisturbed = train(tmp_path / "undisturbed", stream([BAD_STEP]), "restore")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", stream([BAD_STEP]), "restore", callbacks=[Kill(epoch)])
    resumed = train(tmp_path / "killed", stream([BAD_STEP]), "restore")
    assert_same_state(resumed, undisturbed)
    for row, expected in zip(resumed.history, undisturbed.history, strict=True):
        assert {**row, "examples_per_second": 0} == {**expected, "examples_per_second": 0}


def test_a_fault_before_the_first_complete_epoch_is_restored_too(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        run = train(tmp_path / "run", stream([1, 3]), "restore")
    assert caplog.text.count("restored the initial state") == 2
    assert [row["restores"] for row in run.history] == [2, 0, 0]
    assert run.skipped_batches == 4


def test_of_several_steps_in_one_execution_all_are_suspected(tmp_path):
    with pytest.raises(UserError, match="epoch 2, steps 1 to 6 of 6: the loss is NaN") as caught:
        train(tmp_path / "run", stream([BAD_STEP]), steps_per_execution=6)
    assert "example 4 of step 3 " in caught.value.command_line
    assert "clip 8.3" in caught.value.command_line


def test_bad_weights_after_the_last_loss_of_an_epoch_are_not_backed_up(tmp_path):
    run = runs.start(tmp_path / "run", CONFIG, "kws", "default")
    model = build_model(CONFIG)

    class Spoil(keras.callbacks.Callback):
        def on_test_end(self, logs=None):
            if run.epoch == 1:
                self.model.layers[-1].bias.assign([float("inf")])

    with pytest.raises(UserError, match="epoch 2, step 6 of 6: some weights are NaN or infinite"):
        fit(run, model, stream(), callbacks=(Spoil(),))
    assert all(np.isfinite(array).all() for array in state(run).values())


def test_a_learning_rate_that_explodes_is_told_and_other_batches_do_not_help(tmp_path, caplog):
    config = dataclasses.replace(CONFIG, learning_rate=1e25)
    with caplog.at_level(logging.WARNING), pytest.raises(UserError) as caught:
        train(tmp_path / "run", stream(), "restore", config)
    assert caplog.text.count("--on_nan=restore, ") == 3
    line = caught.value.command_line
    assert "epoch 1, step " in line
    assert "files of these steps and the one before: clip " in line
    assert "3 attempts with other batches failed: start over" in line


def test_a_loss_that_grows_step_by_step_explodes_before_it_is_infinite(tmp_path):
    config = dataclasses.replace(CONFIG, learning_rate=1.5)
    run, model = runs.start(tmp_path / "run", config, "kws", "default"), build_model(config, plain=True)
    with pytest.raises(UserError, match=r"the loss explodes: it is [\d.e+]+, previously at most [\d.e+]+"):
        fit(run, model, stream(), steps=60)


def feed(losses, steps_per_execution=1, steps_per_epoch=100):
    """Show losses to the watchdog as `fit` does: as the mean since the beginning of the epoch."""
    model = build_model(CONFIG, steps_per_execution)
    dog = watchdog.Watchdog(runs.Run(None, CONFIG))
    dog.set_model(model)
    for number in range(0, len(losses), steps_per_epoch):
        epoch = losses[number : number + steps_per_epoch]
        dog.on_epoch_begin(0)
        for seen in range(steps_per_execution, len(epoch) + 1, steps_per_execution):
            dog.on_train_batch_end(seen - 1, {"loss": np.float32(np.mean(epoch[:seen]))})


STEP = np.arange(600)
ORDINARY = {
    "cross-entropy that falls to nothing and jumps": np.where(STEP % 50 == 49, 16.0, 2.5 * np.exp(-STEP / 20)),
    "decibels that cross zero": -0.1 * STEP + 1.05,
    "a first epoch that falls steeply": 1e5 * np.exp(-STEP / 5.0),
    "a critic that grows": 0.001 * 1.04**STEP,
    "a critic that swings": 300 * np.sin(STEP / 3.0) * np.minimum(STEP / 100, 1),
    "small differences of waveforms": np.where(STEP == 400, 0.9, 1e-4),
}


@pytest.mark.parametrize("losses", ORDINARY.values(), ids=ORDINARY)
@pytest.mark.parametrize("steps_per_execution", [1, 10])
def test_ordinary_losses_are_left_alone(losses, steps_per_execution):
    feed(losses, steps_per_execution)


@pytest.mark.parametrize("steps_per_execution", [1, 10])
def test_a_single_step_is_seen_in_the_mean_of_a_long_epoch(steps_per_execution):
    losses = np.full(600, 0.5)
    losses[590] = 2e4 if steps_per_execution == 10 else 2e3
    assert losses.mean() < 100
    with pytest.raises(watchdog.Fault) as caught:
        feed(losses, steps_per_execution, steps_per_epoch=600)
    assert caught.value.first <= 590 <= caught.value.last

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.example_corpora.riffs import riff
from common import runs
from common.training import loop
from generation import models, noise, snapshots
from generation.config import LOSSES, VARIANTS

# Without a style a step has half the variables, and is compiled sooner.
TINY = dataclasses.replace(VARIANTS["tiny"], r1_every=2, style_dim=0)
# Compiled sooner still: what the discriminator sees is not changed, and it has no penalty.
PLAIN = dataclasses.replace(TINY, augment="none", r1_weight=0.0)


def build(config, *, eager=False):
    """Build a model; `eager` is for a few steps, which take less time than to trace one."""
    loop.prepare(config)
    model = models.build_model(config)
    model.spectra.adapt([tf.constant(waveforms(config, 4))])
    models.compile_model(model, config, models.build_optimizer(config), 1)
    model.run_eagerly = eager
    return model


def waveforms(config, number, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([riff(config.clip_seconds, rng)[: config.num_samples] for _ in range(number)])


def batches(config, steps, first=0):
    examples = config.batch_size * config.discriminator_steps
    return [tf.constant(waveforms(config, examples, seed=step)) for step in range(first, first + steps)]


def train(model, steps, first=0):
    dataset = tf.data.Dataset.from_tensor_slices(tf.stack(batches(model.config, steps, first)))
    return model.fit(dataset, verbose=0, shuffle=False).history


def values(model):
    return [np.asarray(variable) for variable in runs.state_variables(model)]


def test_every_layer_is_built_before_the_first_batch():
    """Of several devices Keras would otherwise call the model on waveforms, which takes noise."""
    model = models.build_model(TINY)
    assert [layer.name for layer in model._flatten_layers() if not layer.built] == []


@pytest.mark.parametrize("loss", [*LOSSES[:-1], pytest.param(LOSSES[-1], marks=pytest.mark.slow)])
def test_a_step_moves_both_networks_and_the_average(loss):
    # All at once with one of the losses, and in a graph.
    whole = loss == "wgan_gp"
    config = dataclasses.replace(TINY if whole else PLAIN, loss=loss, discriminator_steps=2)
    model = build(config, eager=not whole)
    parts = ("generator", "discriminator", "average")
    before = {name: getattr(model, name).get_weights() for name in parts}
    logs = train(model, 2)
    for name in parts:
        moved = [np.abs(a - b).max() for a, b in zip(before[name], getattr(model, name).get_weights(), strict=True)]
        assert max(moved) > 1e-5, name
    assert all(np.isfinite(value) for values in logs.values() for value in values)


@pytest.mark.slow
def test_the_networks_are_trained_by_their_own_losses():
    """With one of them standing still the other wins: its loss falls."""
    judge = build(dataclasses.replace(PLAIN, learning_rate=0.0, discriminator_learning_rate=0.01))
    history = [train(judge, 4, 4 * number)["discriminator_loss"][0] for number in range(4)]
    assert history[-1] < 0.5 * history[0]
    forger = build(dataclasses.replace(PLAIN, learning_rate=0.01, discriminator_learning_rate=0.0))
    history = [train(forger, 4, 4 * number)["generator_loss"][0] for number in range(6)]
    assert history[-1] < history[0] - 0.2 * abs(history[0])


@pytest.mark.slow
def test_resuming_gives_the_same_next_step(tmp_path):
    config = dataclasses.replace(TINY, augment="adaptive", augment_probability=0.3)
    straight = build(config, eager=True)
    train(straight, 3)
    run = runs.start(tmp_path / "run", config, "generation", "tiny")
    run.history.append({"epoch": 1})
    runs.save_state(run, straight)
    expected = train(straight, 2, first=3)

    resumed = build(dataclasses.replace(config), eager=True)
    runs.restore_state(runs.start(tmp_path / "run", config, "generation", "tiny"), resumed)
    assert train(resumed, 2, first=3) == expected
    for mine, other in zip(values(resumed), values(straight), strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.slow
def test_the_average_follows_with_its_momentum():
    model = build(dataclasses.replace(PLAIN, ema_momentum=0.5, learning_rate=0.01))
    train(model, 30)
    before, kernel = model.average.get_weights()[0], model.generator.get_weights()[0]
    train(model, 1, first=30)
    expected = 0.5 * before + 0.5 * model.generator.get_weights()[0]
    np.testing.assert_allclose(model.average.get_weights()[0], expected, atol=1e-6)
    assert np.abs(kernel - before).max() > 1e-5


def test_without_momentum_the_average_is_the_generator():
    model = build(dataclasses.replace(VARIANTS["report-reduced"], clip_seconds=1.0, batch_size=4), eager=True)
    train(model, 2)
    for mean, value in zip(model.average.get_weights(), model.generator.get_weights(), strict=True):
        np.testing.assert_allclose(mean, value, atol=1e-7)


def test_augmentation_adapts_to_what_the_discriminator_is_sure_of():
    sure = build(dataclasses.replace(TINY, augment="adaptive", augment_probability=0.2, augment_target=0.0))
    unsure = build(dataclasses.replace(TINY, augment="adaptive", augment_probability=0.2, augment_target=1.0))
    for model, logit in ((sure, 5.0), (unsure, -5.0)):
        model._adapt(tf.fill((4, 1), logit))
    assert float(sure.augment_probability) > 0.2 > float(unsure.augment_probability)
    fixed = build(dataclasses.replace(TINY, augment="fixed", augment_probability=0.2))
    fixed._adapt(tf.fill((4, 1), 5.0))
    assert float(fixed.augment_probability) == pytest.approx(0.2)


@pytest.mark.slow
def test_r1_is_computed_every_so_many_steps_only():
    """A huge weight moves the discriminator elsewhere in steps that have it, and in no others."""

    after = {}
    for every in (1, 2):
        model = build(dataclasses.replace(TINY, r1_weight=1e4 / every, r1_every=every, augment="none"), eager=True)
        for step in range(2):
            train(model, 1, first=step)
            after[every, step] = model.discriminator.get_weights()[0]
    # Step 0 has it in both; step 1 only with every=1.
    np.testing.assert_allclose(after[2, 0], after[1, 0], atol=1e-6)
    assert np.abs(after[2, 1] - after[1, 1]).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains(precision):
    model = build(dataclasses.replace(TINY, precision=precision))
    logs = train(model, 3)
    assert np.isfinite(logs["loss"][0])
    assert model.generator.layers[-1].compute_dtype == "float32"
    keras.config.set_dtype_policy("float32")


@pytest.mark.slow
def test_xla_trains_to_about_the_same():
    plain = build(TINY, eager=True)
    compiled = build(dataclasses.replace(TINY, jit_compile=True))
    a, b = (train(model, 2)["discriminator_loss"][0] for model in (plain, compiled))
    assert a == pytest.approx(b, rel=0.05)


def test_a_saved_model_comes_back(tmp_path):
    model = build(PLAIN, eager=True)
    train(model, 2)
    run = runs.start(tmp_path / "run", PLAIN, "generation", "tiny")
    model.save(run.model_path)
    config, loaded = models.load_model(run.folder)
    assert config == PLAIN
    steps = noise.draw(PLAIN, 3, (0, 0))
    np.testing.assert_array_equal(loaded.generate(steps), model.generate(steps))
    np.testing.assert_array_equal(loaded.spectra.low, model.spectra.low)


def test_the_graph_that_generates_follows_the_weights():
    model = build(PLAIN)
    steps = noise.draw(PLAIN, 2, (0, 0))
    before = model.generate(steps).numpy()
    np.testing.assert_allclose(before, model(steps), atol=1e-5)
    model.average.set_weights([2 * weight for weight in model.average.get_weights()])
    after = model.generate(steps).numpy()
    np.testing.assert_allclose(after, model(steps), atol=1e-5)
    assert np.abs(after - before).max() > 0.01
    # Longer pieces come out of the same graph.
    longer = np.concatenate([steps, steps], axis=1)
    np.testing.assert_allclose(model.generate(longer), model(longer), atol=1e-5)


@pytest.mark.slow
def test_a_run_makes_music_in_float32_whatever_the_policy(tmp_path):
    model = models.build_model(PLAIN)
    run = runs.start(tmp_path / "run", PLAIN, "generation", "tiny")
    model.save(run.model_path)
    expected = models.for_inference(model).generate(3)
    model.average.set_weights([2 * weight for weight in model.average.get_weights()])
    snapshots.save(model.average, run.folder, 2)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        loaded, earlier = (models.load_for_inference(run.folder, epoch).generate(3) for epoch in (None, 2))
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(loaded.waveform, expected.waveform, atol=1e-5)
    np.testing.assert_allclose(earlier.decibels, models.for_inference(model).generate(3).decibels, atol=1e-3)
    assert np.abs(earlier.decibels - loaded.decibels).max() > 0.01


def test_the_discriminator_learns_at_its_own_rate():
    model = models.build_model(PLAIN)
    models.compile_model(model, PLAIN, models.build_optimizer(PLAIN), 1)
    rates = [float(optimizer.learning_rate.numpy()) for optimizer in model.optimizers()]
    assert rates == pytest.approx([PLAIN.learning_rate, PLAIN.discriminator_learning_rate])
    assert model.discriminator_optimizer.beta_2 == model.optimizer.beta_2 == PLAIN.beta_2
    assert model.discriminator_optimizer.beta_1 == PLAIN.beta_1

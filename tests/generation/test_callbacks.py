import dataclasses
import logging

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.example_corpora.riffs import write_riffs
from common import runs
from common.training import loop
from generation import callbacks, data, models, reference_metrics, snapshots
from generation.config import VARIANTS

GOOD = {"frechet_distance": 1.0, "spread_ratio": 0.9, "replays": 0.0, "real_logit": 0.5, "fake_logit": -0.5}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = write_riffs(tmp_path_factory.mktemp("riffs"))
    return dataclasses.replace(VARIANTS["tiny"], corpus="folder", data_dir=str(folder), epochs=40)


@pytest.fixture(scope="module")
def splits(config, tmp_path_factory):
    corpus = data.load_corpus(config, tmp_path_factory.mktemp("shards"))
    return {name: data.prepare_split(corpus, name) for name in ("train", "validation")}


@pytest.fixture
def watcher(config, splits, tmp_path, request):
    config = dataclasses.replace(config, **getattr(request, "param", {}))
    loop.prepare(config)
    model = models.build_model(config)
    model.spectra.adapt([tf.constant(data.statistics_excerpts(config, splits["train"]))])
    models.compile_model(model, config, models.build_optimizer(config), 1)
    run = runs.start(tmp_path / "run", config, "generation", "tiny")
    found = callbacks.Watch(
        run, reference_metrics.measure(config, model.spectra, splits["train"], splits["validation"])
    )
    found.set_model(model)
    found.on_train_begin()
    model.stop_training = False
    return found


@pytest.fixture
def judge(config, tmp_path):
    """One that is shown figures only, and needs no network."""
    return callbacks.Watch(runs.start(tmp_path / "run", config, "generation", "tiny"), None)


@pytest.mark.slow
def test_a_look_leaves_what_can_be_seen_heard_and_generated_from(watcher):
    logs = {"loss": 1.0}
    watcher.on_epoch_end(0, logs)
    assert all(np.isfinite(logs[name]) for name in ("frechet_distance", "coverage", "spread_ratio", "nearest_ratio"))
    folder = watcher.run.folder
    for name in ("samples/epoch_0001.png", "samples/epoch_0001_1.wav", "snapshots/epoch_0001.npz"):
        assert (folder / name).stat().st_size > 1000, name
    before = callbacks.sample(watcher.model, 2)
    watcher.model.average.set_weights([value + 0.1 for value in watcher.model.average.get_weights()])
    assert np.abs(callbacks.sample(watcher.model, 2) - before).max() > 1e-3
    snapshots.load(watcher.model.average, folder, 1)
    np.testing.assert_array_equal(callbacks.sample(watcher.model, 2), before)


@pytest.mark.slow
def test_samples_wait_for_no_other_worker(watcher, monkeypatch):
    """After a resumed training only the chief has all snapshots to draw; `predict` would wait for the others for ever."""
    monkeypatch.setattr(watcher.model, "predict", lambda *arguments, **options: pytest.fail("all workers have to join"))
    assert callbacks.sample(watcher.model, 17).shape == (17, watcher.config.frames, watcher.config.bands)


@pytest.mark.parametrize("watcher", [{"monitor_epochs": 5}], indirect=True)
def test_between_looks_the_history_has_gaps(watcher):
    logs = {"loss": 1.0}
    watcher.on_epoch_end(2, logs)
    assert np.isnan(logs["frechet_distance"]) and np.isnan(logs["replays"])
    assert not (watcher.run.folder / "samples").exists()


@pytest.mark.parametrize(
    ("history", "look", "fault"),
    [
        ([], GOOD, ""),
        ([GOOD], GOOD | {"spread_ratio": 0.1}, "samples collapsed, spread is 0.10 times that of recordings"),
        ([GOOD], GOOD | {"spread_ratio": 0.4}, ""),
        ([GOOD], GOOD | {"frechet_distance": 9.0}, "samples diverged, Fréchet distance is 9.0 times the best one"),
        ([GOOD], GOOD | {"frechet_distance": 2.0}, ""),
        ([GOOD], GOOD | {"replays": 0.5}, "50% of samples are copies of training excerpts"),
        # An untrained generator makes one thing only: that is no collapse yet.
        ([{"frechet_distance": 50.0, "spread_ratio": 0.02}], GOOD | {"spread_ratio": 0.1}, ""),
    ],
)
def test_what_is_wrong_is_said(judge, history, look, fault):
    judge.run.history.extend(history)
    found = judge._fault(5, look)
    assert fault in found and bool(found) == bool(fault)


def test_what_never_varied_has_collapsed_after_a_quarter_of_the_training(judge):
    look = GOOD | {"spread_ratio": 0.1}
    assert judge._fault(5, look) == "" and "collapsed" in judge._fault(15, look)


@pytest.mark.parametrize(("distance", "is_fault"), [(0.7, True), (0.3, False)])
def test_a_discriminator_that_tells_nothing_is_a_fault_unless_samples_are_near(judge, distance, is_fault):
    judge.run.history.append(GOOD)
    look = GOOD | {"frechet_distance": distance, "fake_logit": 0.49}
    assert judge._fault(5, look) == ""
    assert ("discriminator does not separate" in judge._fault(15, look)) == is_fault
    assert judge._fault(15, look | {"fake_logit": 0.3}) == ""


def test_what_is_no_nearer_after_a_quarter_of_the_training_does_not_learn(judge):
    judge.run.history.append(GOOD)
    no_nearer = GOOD | {"frechet_distance": 1.2 * GOOD["frechet_distance"]}
    assert judge._fault(5, no_nearer) == "" and "do not improve" in judge._fault(15, no_nearer)
    assert judge._fault(15, GOOD | {"frechet_distance": 0.9 * GOOD["frechet_distance"]}) == ""


@pytest.mark.slow
def test_restoring_goes_back_and_slows_down(watcher, caplog):
    model = watcher.model
    model.save(watcher.run.model_path)
    good = model.average.get_weights()
    for network in (model.generator, model.average, model.discriminator):
        network.set_weights([value + 1 for value in network.get_weights()])
    rates = [float(optimizer.learning_rate.numpy()) for optimizer in model.optimizers()]
    with caplog.at_level(logging.WARNING):
        watcher._answer(9, "samples collapsed")
    for network in (model.generator, model.average):
        for value, expected in zip(network.get_weights(), good, strict=True):
            np.testing.assert_array_equal(value, expected)
    assert [float(optimizer.learning_rate.numpy()) for optimizer in model.optimizers()] == pytest.approx(
        [rate / 2 for rate in rates]
    )
    assert "restored the best averaged weights" in caplog.text and int(model.restores.numpy()) == 1
    assert not model.stop_training


@pytest.mark.slow
def test_restoring_too_often_stops(watcher):
    watcher.model.save(watcher.run.model_path)
    for number in range(5):
        watcher._answer(9 + number, "samples collapsed")
    assert watcher.model.stop_training


@pytest.mark.parametrize(
    ("watcher", "stops"), [({"on_collapse": "stop"}, True), ({"on_collapse": "ignore"}, False)], indirect=["watcher"]
)
def test_stopping_and_ignoring(watcher, stops, caplog):
    with caplog.at_level(logging.WARNING):
        watcher._answer(9, "samples collapsed")
    assert watcher.model.stop_training is stops and "samples collapsed" in caplog.text


@pytest.mark.slow
def test_samples_that_are_no_numbers_are_answered(watcher, caplog):
    watcher.model.save(watcher.run.model_path)
    watcher.model.average.set_weights([value * np.nan for value in watcher.model.average.get_weights()])
    logs = {"loss": float("nan")}
    with caplog.at_level(logging.WARNING):
        watcher.on_epoch_end(3, logs)
    assert "samples contain NaN or infinite values" in caplog.text and np.isnan(logs["frechet_distance"])
    assert np.all(np.isfinite(callbacks.sample(watcher.model, 2)))


@pytest.mark.slow
def test_an_epoch_without_a_finite_loss_is_never_the_best(watcher, monkeypatch):
    monkeypatch.setattr(watcher, "_fault", lambda number, logs: "")
    logs = {"loss": float("nan")}
    watcher.on_epoch_end(0, logs)
    assert np.isnan(logs["frechet_distance"]) and np.isfinite(logs["replays"])

"""Several workers: what each does alone, and two processes together for every task."""

import dataclasses
import importlib
import sys
import time

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from benchmarks import two_workers
from common.corpora import manifest
from common.data import shards
from common.distribution import strategy, workers
from common.errors import UserError
from counting import config as counting_config
from counting import data as counting_data
from tests import patience
from tests.errors import refused

# The same fit on one process and on two: each worker gets its half of every batch.
DENSE = """
import sys
import keras, numpy as np, tensorflow as tf
from common.data import shards
from common.distribution import strategy, workers

x = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
y = (x[:, :1] > 0).astype("float32")
with strategy.scope("auto"):
    share = workers.share(8)
    own = slice(share.index * share.batch_size, (share.index + 1) * share.batch_size)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", metrics=["mae"])
    batches = [(x[i : i + 8][own], y[i : i + 8][own]) for i in range(0, 40, 8)]
    batches = tf.data.Dataset.from_tensor_slices(tuple(map(np.stack, zip(*batches)))).repeat()
    # Nine examples are dealt as five and four.
    validation = shards.finish(tf.data.Dataset.from_tensor_slices((x[:9], y[:9])).batch(9))
    history = model.fit(workers.training_batches(shards.finish(batches)), steps_per_epoch=5, epochs=2,
                        validation_data=validation, verbose=0).history
    predicted = model.predict(validation, verbose=0)
    mean = workers.mean_over_workers([np.full(3, share.index, np.float32)])[0]
    np.savez(f"{sys.argv[1]}_{share.index}.npz", predicted=predicted, mean=mean, **history,
             **{f"weight_{number}": weight for number, weight in enumerate(model.get_weights())})
"""


def train_arguments(flags, task, folder, *more):
    return [task, str(folder), *flags, *more, f"--shards_dir={folder / 'shards'}", f"--run_dir={folder / 'run'}"]


def history_of(folder):
    return pd.read_csv(folder / "history.csv").drop(columns="examples_per_second")


def weights_of(task, folder):
    return importlib.import_module(f"{task}.models").load_model(folder)[1].get_weights()


def assert_same_on_both(task, folder):
    """The chief's history and weights are those of the other worker."""
    chief, other = (folder / f"worker_{index}" for index in range(2))
    pd.testing.assert_frame_equal(history_of(chief), history_of(other), check_exact=False, rtol=1e-6)
    for ours, theirs in zip(weights_of(task, chief), weights_of(task, other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["counting", "separation", "generation"])
def test_two_workers_train_a_task_to_the_same_history_and_weights(tmp_path, task_flags, task):
    log = tmp_path / "log"
    two_workers.finish(
        two_workers.start(two_workers.TRAIN, train_arguments(task_flags[task], task, tmp_path), log), log
    )
    assert len(history_of(tmp_path / "run")) == 2
    assert (tmp_path / "run" / "metrics.json").exists()
    assert_same_on_both(task, tmp_path)


@pytest.mark.slow
def test_training_goes_on_after_a_worker_was_killed(tmp_path, task_flags):
    """The other worker notices and says so; the same commands go on and end where undisturbed ones do."""
    log = tmp_path / "log"
    arguments = train_arguments(task_flags["kws"], "kws", tmp_path / "undisturbed", "--epochs=4")
    two_workers.finish(two_workers.start(two_workers.TRAIN, arguments, log), log)
    assert_same_on_both("kws", tmp_path / "undisturbed")

    arguments = train_arguments(task_flags["kws"], "kws", tmp_path / "killed", "--epochs=4")
    chief, other = two_workers.start(two_workers.TRAIN, arguments, log)
    history = tmp_path / "killed" / "run" / "history.csv"
    deadline = time.monotonic() + patience.SECONDS
    while not history.exists():
        assert chief.poll() is None and other.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    other.kill()
    other.wait()
    assert chief.wait(patience.SECONDS) == 2
    assert "another worker was lost" in log.with_suffix(".0").read_text().splitlines()[-1]

    two_workers.finish(two_workers.start(two_workers.TRAIN, arguments, log), log)
    assert "resuming after epoch" in log.with_suffix(".0").read_text()
    assert_same_on_both("kws", tmp_path / "killed")
    undisturbed, resumed = (tmp_path / name / "run" for name in ("undisturbed", "killed"))
    pd.testing.assert_frame_equal(history_of(resumed), history_of(undisturbed), check_exact=False, rtol=1e-4)
    for ours, theirs in zip(weights_of("kws", resumed), weights_of("kws", undisturbed), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.slow
def test_two_workers_fit_evaluate_and_predict_as_one_process_does(tmp_path):
    log = tmp_path / "log"
    two_workers.finish(two_workers.start(DENSE, [str(tmp_path / "two")], log), log)
    code = compile(DENSE, "dense", "exec")
    arguments, sys.argv = sys.argv, ["dense", str(tmp_path / "one")]
    try:
        exec(code, {})
    finally:
        sys.argv = arguments
    expected = np.load(tmp_path / "one_0.npz")
    for index in range(2):
        received = np.load(tmp_path / f"two_{index}.npz")
        np.testing.assert_array_equal(received["mean"], np.full(3, 0.5))
        for name in set(expected.files) - {"mean"}:
            np.testing.assert_allclose(received[name], expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_one_process_is_the_chief_and_makes_whole_batches():
    assert workers.num_workers() == 1
    assert workers.worker_index() == 0
    assert workers.share(10) == workers.Share(0, 1, 10, 0)
    assert workers.own_first([1, 2, 3]) == [1, 2, 3]
    batches = tf.data.Dataset.range(3)
    assert workers.training_batches(batches) is batches


@pytest.fixture
def as_worker(monkeypatch):
    """Pretend to be one of several workers, where only its share of the data is asked for."""

    def pretend(index, count):
        monkeypatch.setattr(workers, "num_workers", lambda: count)
        monkeypatch.setattr(workers, "worker_index", lambda: index)

    return pretend


def test_a_batch_that_workers_cannot_divide_is_one_line(as_worker, monkeypatch):
    as_worker(1, 3)
    monkeypatch.setattr(type(tf.distribute.get_strategy()), "num_replicas_in_sync", 3)
    assert workers.share(12)[:3] == (1, 3, 4)
    with pytest.raises(UserError, match="batch_size: expected a multiple of the 3 devices of 3 workers, got 10"):
        workers.share(10)


def test_workers_begin_with_different_files(as_worker):
    as_worker(1, 2)
    assert workers.own_first([1, 2, 3, 4]) == [3, 4, 1, 2]


@pytest.mark.parametrize("num_shards", [1, 4])
def test_every_recording_is_read_by_one_worker(tmp_path, corpus_dir, monkeypatch, num_shards):
    """Workers divide the files, or the records where there are fewer files than workers."""
    table = manifest.select(importlib.import_module("common.corpora.folder").index(corpus_dir), "train")
    monkeypatch.setattr(shards, "_num_shards", lambda *arguments: num_shards)
    prepared = shards.prepare(table, tmp_path, 16000)
    assert sum(prepared.counts) == len(table) == 54
    seen = []
    for index in range(2):
        share = workers.Share(index, 2, 3, index)
        count = sum(prepared.counts[index::2]) if num_shards > 1 else 27
        batches = shards.stream(prepared, 100, 3, seed=1, share=share).take(count // 3)
        seen.append([row for _, rows, _ in batches.as_numpy_iterator() for row in rows])
    assert not set(seen[0]) & set(seen[1])
    assert len(set(seen[0])) == len(seen[0]) and len(seen[0]) + len(seen[1]) > 50


def test_two_workers_mix_together_what_one_would_mix(tmp_path, task_dirs, as_worker):
    config = dataclasses.replace(
        counting_config.VARIANTS["tiny"],
        corpus="folder",
        data_dir=str(task_dirs["counting"]),
        max_speakers=2,
        level_rule="mean",
        batch_size=8,
    )
    split = counting_data.prepare_split(counting_data.load_corpus(config, tmp_path), "train")

    def batch(step):
        return next(iter(counting_data.build_dataset(config, split, training=True, initial_step=step)))

    whole = batch(3)
    parts = []
    for index in range(2):
        as_worker(index, 2)
        parts.append(batch(3))
    for place, expected in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[place] for part in parts]), expected)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "set TF_CONFIG on each"),
        ({"TF_CONFIG": "{"}, "TF_CONFIG is invalid"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}'}, "no worker 1"),
        ({"TF_CONFIG": '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}'}, "no ps 0"),
        ({"SLURM_STEP_NUM_TASKS": "2"}, "start the training by srun"),
    ],
)
def test_workers_that_are_not_described_are_one_line(monkeypatch, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with refused(message):
        strategy._cluster_resolver()


def test_a_slurm_allocation_without_gpus_names_its_workers(monkeypatch):
    allocation = {"NUM_TASKS": "3", "NODELIST": "node[1-2]", "TASKS_PER_NODE": "2,1"}
    for name, value in allocation.items():
        monkeypatch.setenv(f"SLURM_STEP_{name}", value)
    monkeypatch.setenv("SLURM_PROCID", "2")
    resolver = strategy._cluster_resolver()
    assert resolver.cluster_spec().as_dict() == {"worker": ["node1:8888", "node1:8889", "node2:8888"]}
    assert (resolver.task_type, resolver.task_id) == ("worker", 2)


def test_scaling_multiplies_the_batch_and_every_learning_rate(monkeypatch):
    config = importlib.import_module("generation.config").VARIANTS["tiny"]
    assert strategy.scaled(config, True) is config
    monkeypatch.setattr(type(tf.distribute.get_strategy()), "num_replicas_in_sync", 4)
    assert strategy.scaled(config, False) is config
    scaled = strategy.scaled(config, True)
    for name in ("batch_size", "learning_rate", "discriminator_learning_rate"):
        assert getattr(scaled, name) == pytest.approx(4 * getattr(config, name))

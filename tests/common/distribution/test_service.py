import contextlib
import importlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import flags as absl_flags

from benchmarks.two_workers import free_ports
from common import config
from common.cli import app
from common.distribution import service as data_service
from common.errors import UserError
from kws import train as kws_train
from tests import patience


@pytest.fixture(scope="module")
def dispatcher():
    server = data_service.start_dispatcher()
    yield server.target.removeprefix("grpc://")


@contextlib.contextmanager
def worker_of(dispatcher):
    """A process of its own, as on another machine: Python functions do not get there."""
    flags = [f"--dispatcher={dispatcher}", "--host=localhost"]
    process = subprocess.Popen([sys.executable, "-m", "common.data_service", *flags], stderr=subprocess.PIPE, text=True)
    try:
        assert any(f"worker of dispatcher {dispatcher}" in line for line in process.stderr)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def worker(dispatcher):
    with worker_of(dispatcher) as process:
        yield process


@pytest.fixture
def service(dispatcher, worker):
    return dispatcher


@pytest.mark.slow
def test_every_batch_is_made_once(service):
    batches = tf.data.Dataset.range(20).map(lambda step: tf.random.stateless_uniform([3], [step, step]))
    helper = data_service.start_worker(service)
    received = np.sort(np.stack(list(data_service.distribute(batches, service).as_numpy_iterator())), axis=0)
    helper.stop()
    np.testing.assert_array_equal(received, np.sort(np.stack(list(batches.as_numpy_iterator())), axis=0))


def training_batches(task, flags, shards_dir):
    """Return what gives a task's training batches, made here or drawn in advance."""
    train, data = importlib.import_module(f"{task}.train"), importlib.import_module(f"{task}.data")
    flag_values = absl_flags.FlagValues()
    train.define_flags(flag_values)
    flag_values([task, *flags])
    settings = config.from_flags(flag_values, importlib.import_module(f"{task}.config").VARIANTS)
    corpus = data.load_corpus(settings, shards_dir)
    split = data.prepare_split(corpus, "train")
    return lambda **options: data.build_dataset(corpus.config, split, training=True, initial_step=2, **options)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["counting", "separation", "generation"])
def test_another_machine_makes_the_batches_that_would_be_made_here(service, task_flags, task, tmp_path):
    batches = training_batches(task, task_flags[task], tmp_path)
    here = [tf.nest.flatten(batch) for batch in batches().take(3)]
    there = [tf.nest.flatten(batch) for batch in data_service.distribute(batches(num_batches=3), service).take(3)]
    for parts in zip(*there, strict=True):
        assert not np.array_equal(parts[0], parts[1])
    # One worker makes them in order.
    for ours, theirs in zip(here, there, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["kws", "counting"])
def test_a_training_takes_what_others_prepare(service, task_flags, task, tmp_path):
    train = importlib.import_module(f"{task}.train")
    flags = [f"--data_service={service}", f"--shards_dir={tmp_path / 'shards'}", f"--run_dir={tmp_path / 'run'}"]
    assert app.run(train.main, train.define_flags, [*task_flags[task], *flags]) == 0
    assert (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("address", ["localhost:{port}", "nowhere", "localhost:port"])
def test_a_dispatcher_that_does_not_answer_is_one_line(address):
    address = address.format(port=free_ports(1)[0])
    with pytest.raises(UserError, match="data_service: expected HOST:PORT of a dispatcher"):
        data_service.distribute(tf.data.Dataset.range(3), address)
    with pytest.raises(UserError, match="dispatcher: expected HOST:PORT of a dispatcher"):
        data_service.start_worker(address)


@pytest.mark.slow
def test_a_port_that_is_taken_is_one_line(service):
    with pytest.raises(UserError, match="port"):
        data_service.start_dispatcher(int(service.rpartition(":")[2]))


@pytest.mark.slow
def test_what_python_computes_stays_here(tmp_path, service, train_flags):
    """Teachers are models in this process."""
    flags = [*train_flags, f"--data_service={service}", "--num_teachers=1", f"--run_dir={tmp_path / 'run'}"]
    assert app.run(kws_train.main, kws_train.define_flags, flags) == 2


@pytest.mark.slow
def test_a_worker_ends_when_told_though_batches_are_wanted():
    server = data_service.start_dispatcher()  # of its own: other tests want theirs alive
    dispatcher = server.target.removeprefix("grpc://")
    endless = tf.data.Dataset.range(10**9).map(lambda step: tf.random.stateless_uniform([1000], [step, step]))
    with worker_of(dispatcher) as worker:
        batches = iter(data_service.distribute(endless, dispatcher))
        next(batches)
        worker.terminate()
        assert worker.wait(patience.SECONDS) == 143
        del batches

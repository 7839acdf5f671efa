import numpy as np
import pytest
import tensorflow as tf

from common import app, data_service
from common.errors import UserError
from kws import train
from tests.two_workers import free_ports


@pytest.fixture
def service():
    """A dispatcher and two workers, as on three machines."""
    dispatcher = data_service.start_dispatcher()
    address = dispatcher.target.removeprefix("grpc://")
    workers = [data_service.start_worker(address) for _ in range(2)]
    yield address
    for worker in workers:
        worker.stop()


def test_every_batch_is_made_once(service):
    batches = tf.data.Dataset.range(20).map(lambda step: tf.random.stateless_uniform([3], [step, step]))
    received = np.sort(np.stack(list(data_service.distribute(batches, service).as_numpy_iterator())), axis=0)
    np.testing.assert_array_equal(received, np.sort(np.stack(list(batches.as_numpy_iterator())), axis=0))


def test_a_keyword_spotter_trains_on_what_others_prepare(tmp_path, service, train_flags):
    flags = [*train_flags, "--epochs=1", "--max_shift_ms=100", f"--data_service={service}"]
    assert app.run(train.main, train.define_flags, [*flags, f"--run_dir={tmp_path / 'run'}"]) == 0
    assert (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize("address", ["localhost:{port}", "nowhere", "localhost:port"])
def test_a_dispatcher_that_does_not_answer_is_one_line(address):
    address = address.format(port=free_ports(1)[0])
    with pytest.raises(UserError, match="--data_service: expected HOST:PORT of a dispatcher"):
        data_service.distribute(tf.data.Dataset.range(3), address)
    with pytest.raises(UserError, match="--dispatcher: expected HOST:PORT of a dispatcher"):
        data_service.start_worker(address)


def test_a_port_that_is_taken_is_one_line(service):
    with pytest.raises(UserError, match="--port"):
        data_service.start_dispatcher(int(service.rpartition(":")[2]))


def test_what_python_computes_stays_here(tmp_path, service, train_flags):
    """Teachers are models in this process."""
    flags = [*train_flags, f"--data_service={service}", "--num_teachers=1", f"--run_dir={tmp_path / 'run'}"]
    assert app.run(train.main, train.define_flags, flags) == 2

"""A `tf.data` service: other machines produce the training batches."""

import socket

import tensorflow as tf

from common.distribution import check_dispatcher
from common.errors import UserError


def start_dispatcher(port: int = 0) -> tf.data.experimental.service.DispatchServer:
    """Start the dispatcher, which connects trainings with workers.

    Raises:
        UserError: The port is in use.
    """
    try:
        # TensorFlow would share the port with another process that already listens on it.
        with socket.socket() as probe:
            probe.bind(("", port))
    except OSError as error:
        raise UserError(f"--port={port}: {error.strerror}; choose another port") from error
    config = tf.data.experimental.service.DispatcherConfig(port=port, protocol="grpc")
    return tf.data.experimental.service.DispatchServer(config)


def start_worker(dispatcher: str, host: str = "localhost", port: int = 0) -> tf.data.experimental.service.WorkerServer:
    """Start a worker, which reads and augments recordings for trainings.

    Raises:
        UserError: The dispatcher cannot be reached.
    """
    check_dispatcher(dispatcher, "--dispatcher")
    # TensorFlow replaces %port% by the free port that it has found.
    config = tf.data.experimental.service.WorkerConfig(
        dispatcher_address=dispatcher, worker_address=f"{host}:%port%", port=port, protocol="grpc"
    )
    return tf.data.experimental.service.WorkerServer(config)


def distribute(batches: tf.data.Dataset, address: str) -> tf.data.Dataset:
    """Let the workers of a service produce the batches, each by one free worker.

    Args:
        batches: A dataset of TensorFlow operations only; Python functions cannot be sent (see `common.data.excerpts`).
        address: HOST:PORT of the dispatcher.

    Raises:
        UserError: The dispatcher cannot be reached.
    """
    check_dispatcher(address, "--data_service")
    return batches.apply(
        tf.data.experimental.service.distribute(
            tf.data.experimental.service.ShardingPolicy.DYNAMIC, f"grpc://{address}", max_outstanding_requests=16
        )
    )

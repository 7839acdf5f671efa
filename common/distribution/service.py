"""A `tf.data` service: other machines make the training batches."""

import socket

import tensorflow as tf

from common.errors import UserError

_CONNECT_SECONDS = 10


def start_dispatcher(port: int = 0) -> tf.data.experimental.service.DispatchServer:
    """Start what tells trainings and workers of one another.

    Raises:
        UserError: The port is taken.
    """
    try:
        # TensorFlow shares a port with whoever listens there already.
        with socket.socket() as probe:
            probe.bind(("", port))
    except OSError as error:
        raise UserError(f"--port={port}: {error.strerror}; give another") from error
    config = tf.data.experimental.service.DispatcherConfig(port=port, protocol="grpc")
    return tf.data.experimental.service.DispatchServer(config)


def start_worker(dispatcher: str, host: str = "localhost", port: int = 0) -> tf.data.experimental.service.WorkerServer:
    """Start what reads and changes recordings for whoever trains.

    Raises:
        UserError: Nobody answers at the dispatcher's address.
    """
    check(dispatcher, "--dispatcher")
    # The address has the port that is found free, which TensorFlow puts in the place of %port%.
    config = tf.data.experimental.service.WorkerConfig(
        dispatcher_address=dispatcher, worker_address=f"{host}:%port%", port=port, protocol="grpc"
    )
    return tf.data.experimental.service.WorkerServer(config)


def check(address: str, flag: str) -> None:
    """See whether somebody answers, where TensorFlow would wait for ever.

    Raises:
        UserError: Nobody does.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{flag}: expected HOST:PORT of a dispatcher (python -m common.data_service), and {address!r} does not answer: {error}"
        ) from error


def distribute(batches: tf.data.Dataset, address: str) -> tf.data.Dataset:
    """Have the workers of a service make the batches; each is made once, by whoever is free.

    Args:
        batches: A dataset of TensorFlow operations alone: Python functions do not travel (see `common.data.excerpts`).
        address: HOST:PORT of the dispatcher.

    Raises:
        UserError: Nobody answers there.
    """
    check(address, "--data_service")
    return batches.apply(
        tf.data.experimental.service.distribute(
            tf.data.experimental.service.ShardingPolicy.DYNAMIC, f"grpc://{address}", max_outstanding_requests=16
        )
    )

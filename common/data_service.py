"""Preprocess on other machines: run a part of a `tf.data` service, one dispatcher and any number of workers.

  python -m common.data_service --port=5050                   the dispatcher, on one machine
  python -m common.data_service --dispatcher=HOST:5050        a worker, on every machine that is to help
  python -m counting.train --data_service=HOST:5050 …         the training, of any task

Workers read the shards, so that --shards_dir has to be a folder that all of them see under the same name. Batches come in
the order in which workers finish them; each is still made once.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Sequence

import tensorflow as tf
from absl import flags as absl_flags

from common.cli import app
from common.config import FlagValues
from common.errors import UserError

_CONNECT_SECONDS = 10


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_integer(
        "port",
        0,
        "the port to listen on; 0 for any that is free",
        lower_bound=0,
        upper_bound=65535,
        flag_values=flag_values,
    )
    absl_flags.DEFINE_string(
        "dispatcher", "", "HOST:PORT of the dispatcher, for a worker; empty for the dispatcher", flag_values=flag_values
    )
    absl_flags.DEFINE_string(
        "host", socket.gethostname(), "the name by which others reach this machine", flag_values=flag_values
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Serve until interrupted."""
    app.refuse_arguments(arguments)
    server = (
        start_worker(flags.dispatcher, flags.host, flags.port) if flags.dispatcher else start_dispatcher(flags.port)
    )
    if flags.dispatcher:
        logging.info("worker of %s", flags.dispatcher)
    else:
        address = server.target.rpartition(":")[2]
        logging.info("dispatcher: --dispatcher=%s:%s, --data_service=%s:%s", flags.host, address, flags.host, address)
    while True:
        time.sleep(60)


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


if __name__ == "__main__":
    status = app.run(main, define_flags)
    sys.stdout.flush()
    sys.stderr.flush()
    # A worker from which somebody still wants batches would wait for them to be fetched; there is nothing to lose.
    os._exit(status)

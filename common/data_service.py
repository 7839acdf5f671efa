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

from absl import flags as absl_flags

from common import startup
from common.cli import app
from common.config import FlagValues


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
    startup.load_tensorflow()
    from common.distribution import service

    if flags.dispatcher:
        server = service.start_worker(flags.dispatcher, flags.host, flags.port)
    else:
        server = service.start_dispatcher(flags.port)
    if flags.dispatcher:
        logging.info("worker of %s", flags.dispatcher)
    else:
        address = server.target.rpartition(":")[2]
        logging.info("dispatcher: --dispatcher=%s:%s, --data_service=%s:%s", flags.host, address, flags.host, address)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    status = app.run(main, define_flags)
    sys.stdout.flush()
    sys.stderr.flush()
    # A worker from which somebody still wants batches would wait for them to be fetched; there is nothing to lose.
    os._exit(status)

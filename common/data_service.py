"""Preprocess on other machines with a `tf.data` service: one dispatcher and any number of workers.

  python -m common.data_service --port=5050                   the dispatcher, on one machine
  python -m common.data_service --dispatcher=HOST:5050        a worker, on every machine that helps
  python -m counting.train --data_service=HOST:5050 …         the training, of any task

Workers read the shards, so --shards_dir must be a folder that all of them can access under the same path. Batches
arrive in the order in which workers finish them; each batch is produced once.
"""

import os
import socket
import sys
import time
from collections.abc import Sequence

from absl import flags as absl_flags

from common import startup
from common.cli import app
from common.config import FlagValues
from common.log import logger


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_integer(
        "port",
        0,
        "port to listen on; 0 picks a free port",
        lower_bound=0,
        upper_bound=65535,
        flag_values=flag_values,
    )
    absl_flags.DEFINE_string(
        "dispatcher",
        "",
        "HOST:PORT of the dispatcher, for a worker; empty to run the dispatcher",
        flag_values=flag_values,
    )
    absl_flags.DEFINE_string(
        "host", socket.gethostname(), "name or address of this machine for other machines", flag_values=flag_values
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
        logger.info("worker of dispatcher %s", flags.dispatcher)
    else:
        address = server.target.rpartition(":")[2]
        logger.info("dispatcher: --dispatcher=%s:%s, --data_service=%s:%s", flags.host, address, flags.host, address)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    status = app.run(main, define_flags)
    sys.stdout.flush()
    sys.stderr.flush()
    # A normal exit would wait until clients have fetched all batches of a worker; nothing is lost without it.
    os._exit(status)

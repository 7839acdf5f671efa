"""Several devices, workers and machines."""

import os
import socket

from common.errors import UserError

# What `--strategy` can be; see `common.distribution.strategy`.
STRATEGIES = ("auto", "single", "mirrored", "multiworker")
_CONNECT_SECONDS = 10


def are_workers_described() -> bool:
    """Whether the environment describes several workers, by `TF_CONFIG` or a Slurm allocation."""
    return "TF_CONFIG" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1


def check_dispatcher(address: str, flag: str) -> None:
    """Check that the dispatcher of a `tf.data` service can be reached, since TensorFlow would wait forever.

    Args:
        address: HOST:PORT.
        flag: The flag that gave it, for messages.

    Raises:
        UserError: It cannot be reached.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError, ValueError) as error:
        raise UserError(
            f"{flag}: expected HOST:PORT of a dispatcher (python -m common.data_service), but {address!r} cannot be reached: {error}"
        ) from error

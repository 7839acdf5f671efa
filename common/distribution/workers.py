"""Several workers: the same command on several machines, each with a part of every batch.

Every worker goes through the same motions and ends with the same weights. Each makes its own part of a training batch,
with draws of its own; only the chief, worker 0, says anything and keeps a run directory, and all begin from what the chief
has, so that no common file system is needed for it. Without several workers every function here says so and does nothing.
"""

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from common import seeds
from common.errors import UserError

_PIECE_BYTES = 2**22


class Share(NamedTuple):
    """What a worker makes of every training batch.

    `index` of `count` workers; `batch_size` examples of the batch are its own; `seed_offset` is to be added to the seeds
    of its random draws, 0 for the first.
    """

    index: int
    count: int
    batch_size: int
    seed_offset: int


def num_workers() -> int:
    """Return how many workers the current strategy has."""
    current = tf.distribute.get_strategy()
    return getattr(current.extended, "_num_workers", 1)


def worker_index() -> int:
    """Return which of the workers this one is; the chief is 0."""
    resolver = tf.distribute.get_strategy().cluster_resolver
    if resolver is None or num_workers() == 1:
        return 0
    spec = resolver.cluster_spec()
    first = spec.num_tasks("chief") if "chief" in spec.jobs and resolver.task_type == "worker" else 0
    return first + resolver.task_id


def share(batch_size: int) -> Share:
    """Return which part of every training batch this worker makes.

    Args:
        batch_size: Examples of a whole batch.

    Raises:
        UserError: The batch cannot be divided equally among all devices of several workers.
    """
    count, index = num_workers(), worker_index()
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if count > 1 and batch_size % replicas:
        raise UserError(
            f"--batch_size: expected a multiple of the {replicas} devices of {count} workers, got {batch_size}"
        )
    return Share(index, count, batch_size // count, index * seeds.WORKER_STRIDE)


def own_first(tasks: list) -> list:
    """Return what has to be made once, in another order on each worker.

    Workers with a common folder so begin with different files, and leave out what they find made when its turn comes;
    workers without make all of them.
    """
    first = worker_index() * len(tasks) // num_workers()
    return tasks[first:] + tasks[:first]


def training_batches(batches: tf.data.Dataset) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Hand a worker's own batches to `fit` as they are; without several workers `fit` divides them itself."""
    if num_workers() == 1:
        return batches
    current = tf.distribute.get_strategy()
    num_local = current.num_replicas_in_sync // num_workers()
    if num_local > 1:
        num_examples = tf.nest.flatten(batches.element_spec)[0].shape[0]
        batches = batches.rebatch(num_examples // num_local)
    return current.distribute_datasets_from_function(lambda context: batches)


def mean_over_workers(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the mean of all workers' arrays, the same on every worker; each takes part with arrays of the same shapes."""
    if num_workers() == 1:
        return list(arrays)
    return [_sum(array.astype(np.float32)) / num_workers() for array in arrays]


def _sum(array: np.ndarray) -> np.ndarray:
    """Add the arrays of all workers up."""
    current = tf.distribute.get_strategy()
    num_local = current.num_replicas_in_sync // num_workers()

    @tf.function
    def add() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        # Of the devices of a worker the first brings its array, the others nothing.
        is_first = tf.cast(context.replica_id_in_sync_group, tf.int32) % num_local == 0
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(is_first, array, tf.zeros_like(array)))

    return current.experimental_local_results(current.run(add))[0].numpy()


def run_folder(folder: str | Path, shared: Sequence[str] = ()) -> Path:
    """Return the run directory of this worker: the one given for the chief, else one that goes with the process.

    Every worker goes through the same motions, so each needs a place to write; what the chief has of `shared` is copied
    there first, so that all begin from the same. Workers need no common file system for it.

    Args:
        folder: The run directory.
        shared: Paths in it, relative, that say how far the run is.
    """
    folder = Path(folder)
    if num_workers() == 1:
        return folder
    is_chief = worker_index() == 0
    if not is_chief:
        temporary = tempfile.mkdtemp(prefix="quartet-worker-")
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        folder = Path(temporary) / folder.name
    for name in shared:
        path = folder / name
        content = _from_chief(path.read_bytes() if is_chief and path.exists() else None)
        if content is not None and not is_chief:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return folder


def _from_chief(content: bytes | None) -> bytes | None:
    """Return what the chief gives, on every worker; what the others give does not count."""
    is_chief = worker_index() == 0
    length = -1 if content is None else len(content)
    length = int(_sum(np.array([length if is_chief else 0], np.int32))[0])
    if length < 0:
        return None
    pieces = []
    for start in range(0, length, _PIECE_BYTES):
        piece = np.zeros(min(_PIECE_BYTES, length - start), np.int32)
        if is_chief:
            piece[:] = np.frombuffer(content[start : start + len(piece)], np.uint8)
        pieces.append(_sum(piece).astype(np.uint8).tobytes())
    return b"".join(pieces)


def only_the_chief_speaks() -> None:
    """Silence a worker that is not the chief, but for warnings."""
    if worker_index():
        logging.getLogger().setLevel(logging.WARNING)
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the process ends

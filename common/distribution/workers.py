"""Multi-worker training: the same command runs on several machines, each with a part of every batch.

All workers execute the same steps and end with the same weights. Each worker produces its part of a training batch with
its own random draws. Only the chief, worker 0, prints messages and keeps a run directory. All workers start from the
files of the chief, so run directories need no shared file system. With one worker, the functions of this module have no
effect.
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
    """The part of every training batch that a worker produces.

    `index` is the number of the worker, from 0, of `count` workers. `batch_size` is the number of its examples in the
    batch. `seed_offset` is added to the seeds of its random draws; it is 0 for the first worker.
    """

    index: int
    count: int
    batch_size: int
    seed_offset: int


def num_workers() -> int:
    """Return the number of workers of the current strategy."""
    current = tf.distribute.get_strategy()
    return getattr(current.extended, "_num_workers", 1)


def worker_index() -> int:
    """Return the index of this worker; the chief is 0."""
    resolver = tf.distribute.get_strategy().cluster_resolver
    if resolver is None or num_workers() == 1:
        return 0
    spec = resolver.cluster_spec()
    first = spec.num_tasks("chief") if "chief" in spec.jobs and resolver.task_type == "worker" else 0
    return first + resolver.task_id


def share(batch_size: int) -> Share:
    """Return the part of every training batch that this worker produces.

    Args:
        batch_size: Number of examples of a whole batch.

    Raises:
        UserError: The batch size is not a multiple of the number of devices of several workers.
    """
    count, index = num_workers(), worker_index()
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if count > 1 and batch_size % replicas:
        raise UserError(
            f"--batch_size: expected a multiple of the {replicas} devices of {count} workers, got {batch_size}"
        )
    return Share(index, count, batch_size // count, index * seeds.WORKER_STRIDE)


def own_first(tasks: list) -> list:
    """Rotate a list of one-time tasks, by a different offset on each worker.

    Workers with a shared folder thus start with different files and skip files that another worker has written in the
    meantime. Workers without a shared folder do all tasks.
    """
    first = worker_index() * len(tasks) // num_workers()
    return tasks[first:] + tasks[:first]


def training_batches(batches: tf.data.Dataset) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Wrap the batches of this worker, so that `fit` does not divide them again; unchanged with one worker."""
    if num_workers() == 1:
        return batches
    current = tf.distribute.get_strategy()
    num_local = current.num_replicas_in_sync // num_workers()
    if num_local > 1:
        num_examples = tf.nest.flatten(batches.element_spec)[0].shape[0]
        batches = batches.rebatch(num_examples // num_local)
    return current.distribute_datasets_from_function(lambda context: batches)


def mean_over_workers(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the mean of the arrays over all workers, on every worker; the shapes must be equal on all workers."""
    if num_workers() == 1:
        return list(arrays)
    return [_sum(array.astype(np.float32)) / num_workers() for array in arrays]


def _sum(array: np.ndarray) -> np.ndarray:
    """Return the sum of the arrays of all workers."""
    current = tf.distribute.get_strategy()
    num_local = current.num_replicas_in_sync // num_workers()

    @tf.function
    def add() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        # Only the first device of each worker contributes its array.
        is_first = tf.cast(context.replica_id_in_sync_group, tf.int32) % num_local == 0
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(is_first, array, tf.zeros_like(array)))

    return current.experimental_local_results(current.run(add))[0].numpy()


def run_folder(folder: str | Path, shared: Sequence[str] = ()) -> Path:
    """Return the run directory of this worker: the given one for the chief, a temporary one for other workers.

    All workers execute the same steps, so each needs a folder to write to. The `shared` files of the chief are copied
    there first, without a shared file system, so that all workers start from the same state.

    Args:
        folder: The run directory.
        shared: Relative paths of the files with the state of the run.
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
    """Return the content given by the chief, on every worker; the argument of other workers is ignored."""
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
    """Silence a worker that is not the chief, except for warnings."""
    if worker_index():
        logging.getLogger().setLevel(logging.WARNING)
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the process ends

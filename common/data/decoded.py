"""Shared parts of shards and banks of decoded audio: cache keys, threads, and the limit of rejected recordings."""

import concurrent.futures
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import pandas as pd

from common.corpora import manifest
from common.errors import UserError
from common.log import logger

NUM_PARALLEL = os.cpu_count() or 1


def key(settings: Sequence, recordings: Iterable[tuple]) -> str:
    """Return a cache key of decoded recordings; it changes if a file changes.

    Args:
        settings: JSON-serializable settings that the result depends on.
        recordings: For each recording its path, followed by the values that select the excerpt.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256(json.dumps(settings).encode())
    for path, *wanted in recordings:
        line = "|".join(map(str, (path, *wanted, _stamp(path))))
        digest.update(f"{line}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _stamp(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return "missing"
    return f"{status.st_size}|{status.st_mtime_ns}"


def in_threads(function: Callable, tasks: Iterable[tuple]) -> Iterator:
    """Call a function with the arguments of each task in several threads; the first exception cancels the rest.

    Yields:
        The return values, in the order of completion.
    """
    with concurrent.futures.ThreadPoolExecutor(NUM_PARALLEL) as pool:
        jobs = [pool.submit(function, *task) for task in tasks]
        try:
            for job in concurrent.futures.as_completed(jobs):
                yield job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def check_rejected(
    rejected: pd.DataFrame, num_all: int, max_rejected: float, kind: str = "recordings", where: str = ""
) -> None:
    """Log a warning about rejected recordings, or raise an error if there are too many.

    Args:
        rejected: A table `path`, `reason`; a reason names its recording.
        num_all: Number of all recordings, including the rejected ones.
        max_rejected: Tolerated fraction, in [0, 1]; the number is rounded up, but rejecting all is always an error.
        kind: What the recordings are (a plural), for messages.
        where: File that lists the rejected recordings, for messages.

    Raises:
        UserError: Too many recordings are rejected, or all of them.
    """
    if rejected.empty:
        return
    listed = f" (listed in {where})" if where else ""
    summary = f"{len(rejected)} of {num_all} {kind} cannot be used{listed}"
    first = rejected["reason"].iloc[0]
    if len(rejected) >= num_all or manifest.too_many(len(rejected), num_all, max_rejected):
        raise UserError(
            f"{summary}: {len(rejected) / num_all:.0%}, but --max_rejected allows {max_rejected:.0%}; first error: {first}"
        )
    logger.warning("%s; first error: %s", summary, first)

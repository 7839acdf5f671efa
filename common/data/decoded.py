"""What all that decodes a corpus once has in common: where the result lies, how it is made, and what may be missing."""

import concurrent.futures
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import pandas as pd

from common.corpora import manifest
from common.errors import UserError

NUM_PARALLEL = os.cpu_count() or 1


def key(settings: Sequence, recordings: Iterable[tuple]) -> str:
    """Name what is made of some recordings by all that it depends on, so that a changed one is decoded again.

    Args:
        settings: What else the result depends on, as JSON holds it.
        recordings: Of each the path, and what of it is wanted.

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
    """Call a function with the arguments of each task, several at once; the first exception ends it all.

    Yields:
        What the function returns, in the order in which it is done.
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
    """Warn of what cannot be used, or refuse to go on where that is too much.

    Args:
        rejected: A table `path`, `reason`; a reason names its recording.
        num_all: How many there are, these among them.
        max_rejected: Share that is tolerated, in [0, 1]; of a few recordings one is, but never all of them.
        kind: What they are, for messages.
        where: Where they are listed, for messages.

    Raises:
        UserError: There are more, or nothing is left.
    """
    if rejected.empty:
        return
    listed = f" (listed in {where})" if where else ""
    summary = f"{len(rejected)} of {num_all} {kind} cannot be used{listed}"
    first = rejected["reason"].iloc[0]
    if len(rejected) >= num_all or manifest.too_many(len(rejected), num_all, max_rejected):
        raise UserError(
            f"{summary}: {len(rejected) / num_all:.0%} where --max_rejected allows {max_rejected:.0%}; the first: {first}"
        )
    logging.warning("%s; the first: %s", summary, first)

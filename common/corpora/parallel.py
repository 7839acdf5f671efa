"""Work on many files in several processes, dealt out in the same way in every run."""

import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

_NUM_PROCESSES = 2
_CHUNK_ITEMS = 20


def stripes(function: Callable, items: Sequence, many: int, chunk_items: int = _CHUNK_ITEMS) -> Iterator:
    """Call a function with every item, in processes of their own where there are many.

    Each process takes every second item, in order, so what a library carries over from one call to the next is the same
    in every run.

    Args:
        function: Of one argument, defined at the top of a module.
        items: What to call it with; they are pickled.
        many: From how many items on the start of processes pays.
        chunk_items: How many items a process is given, and gives back, at a time: 1 where each takes seconds.

    Yields:
        What the function returns, in the order of the items.
    """
    if len(items) < many:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    pools = [
        concurrent.futures.ProcessPoolExecutor(1, context, initializer=_end_with_parent) for _ in range(_NUM_PROCESSES)
    ]
    try:
        with _interruptions_blocked():
            done = [
                pool.map(function, items[first::_NUM_PROCESSES], chunksize=chunk_items)
                for first, pool in enumerate(pools)
            ]
        # Stripes differ in length by one at most, and what fills the shorter ones up comes last.
        yield from itertools.islice(itertools.chain.from_iterable(itertools.zip_longest(*done)), len(items))
    except BaseException:
        # Nobody waits for what they are at.
        for process in multiprocessing.active_children():
            process.kill()
        raise
    finally:
        for pool in pools:
            pool.shutdown(wait=False)


@contextlib.contextmanager
def _interruptions_blocked() -> Iterator[None]:
    """Block Ctrl-C in processes that are started meanwhile, for as long as they live: their parent answers it."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _end_with_parent() -> None:
    """End when the parent ends, however that was: killed, it cannot tell its processes."""
    threading.Thread(target=_follow, args=[multiprocessing.parent_process()], daemon=True).start()


def _follow(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)

"""Process many files in several processes, assigned to the processes in the same way in every run."""

import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence

_NUM_PROCESSES = 2
_CHUNK_ITEMS = 20


def stripes(function: Callable, items: Sequence, many: int, chunk_items: int = _CHUNK_ITEMS) -> Iterator:
    """Call a function with every item, in subprocesses if there are many items.

    Each process takes every second item, in order. State that a library keeps between calls is therefore the same in
    every run.

    Args:
        function: A function of one argument, defined at module level.
        items: The arguments; they are pickled.
        many: Smallest number of items for which processes are started.
        chunk_items: Items sent to a process at a time; 1 if each takes seconds.

    Yields:
        The return values, in the order of the items.
    """
    if len(items) < many:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    pools = [
        concurrent.futures.ProcessPoolExecutor(1, context, initializer=_end_with_parent) for _ in range(_NUM_PROCESSES)
    ]
    try:
        with _interruptions_blocked(), _without_main():
            done = [
                pool.map(function, items[first::_NUM_PROCESSES], chunksize=chunk_items)
                for first, pool in enumerate(pools)
            ]
        # Stripes differ in length by at most one, so the fill values of the shorter ones come last and are cut off.
        yield from itertools.islice(itertools.chain.from_iterable(itertools.zip_longest(*done)), len(items))
    except BaseException:
        # The pending results are no longer needed.
        for process in multiprocessing.active_children():
            process.kill()
        raise
    finally:
        for pool in pools:
            pool.shutdown(wait=False)


@contextlib.contextmanager
def _interruptions_blocked() -> Iterator[None]:
    """Block Ctrl-C in the processes started in this context, for their whole life: the parent handles it."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Keep processes started in this context from importing the program that was started.

    Spawned processes import it, which runs a script without `if __name__ == "__main__"` again. The functions called here
    do not need it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _end_with_parent() -> None:
    """Exit when the parent exits, even if it was killed."""
    threading.Thread(target=_exit_after, args=[multiprocessing.parent_process()], daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)

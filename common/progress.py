"""Progress of long work on the console."""

import sys

from tqdm import tqdm

_LOG_INTERVAL_SECONDS = 10.0


def bar(total: int, description: str, unit: str, initial: int = 0) -> tqdm:
    """Return a progress bar: lively on a terminal, a line every ten seconds in a log.

    Args:
        total: How much there is to do.
        description: What is being done.
        unit: What is counted.
        initial: How much is done already.
    """
    interval = 0.1 if sys.stderr.isatty() else _LOG_INTERVAL_SECONDS
    return tqdm(total=total, initial=initial, desc=description, unit=unit, mininterval=interval, maxinterval=interval)

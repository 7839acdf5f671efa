"""Progress bars on the console."""

import sys

from tqdm import tqdm

_LOG_INTERVAL_SECONDS = 10.0


def bar(total: int, description: str, unit: str, initial: int = 0) -> tqdm:
    """Return a progress bar, updated continuously on a terminal and every ten seconds in a log.

    Args:
        total: Number of steps.
        description: Text before the bar.
        unit: Unit of a step.
        initial: Steps that are already done.
    """
    interval = 0.1 if sys.stderr.isatty() else _LOG_INTERVAL_SECONDS
    return tqdm(total=total, initial=initial, desc=description, unit=unit, mininterval=interval, maxinterval=interval)

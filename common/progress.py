"""Progress and time left of long operations, on the console."""

import sys

from tqdm import tqdm

_LOG_INTERVAL_SECONDS = 10.0
# Shorter operations need no bar.
_DELAY_SECONDS = 2.0


def bar(total: int | None, description: str, unit: str, initial: int = 0) -> tqdm:
    """Return a progress bar with the time left, updated continuously on a terminal and every ten seconds in a log.

    It appears after two seconds, and stays on the console unless it is inside another bar.

    Args:
        total: Number of steps; None if unknown.
        description: Text before the bar.
        unit: Unit of a step.
        initial: Steps that are already done.
    """
    interval = 0.1 if sys.stderr.isatty() else _LOG_INTERVAL_SECONDS
    return tqdm(
        total=total,
        initial=initial,
        desc=description,
        unit=unit,
        mininterval=interval,
        maxinterval=interval,
        delay=_DELAY_SECONDS,
        leave=None,
    )


def duration(seconds: float) -> str:
    """Format a duration, rounded to what matters.

    Example:
        >>> duration(42), duration(150), duration(4000)
        ('42 s', '2 min 30 s', '1 h 6 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_of_hour} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

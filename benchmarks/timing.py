"""Time several implementations in turn, so that they can be compared on a machine with other load."""

import time
from collections.abc import Callable

import pandas as pd


def take_turns(routes: dict[str, Callable[[], object]], num_rounds: int) -> pd.DataFrame:
    """Return the time of every call in seconds, one row per round and one column per route; routes take turns."""
    rounds = []
    for _ in range(num_rounds):
        seconds = {}
        for name, route in routes.items():
            begin = time.perf_counter()
            route()
            seconds[name] = time.perf_counter() - begin
        rounds.append(seconds)
    return pd.DataFrame(rounds)

"""Detection rule of the timeline: turns the probabilities of sliding windows into words, for files and live streams.

1. Probabilities are averaged over 0.3 s.
2. Consecutive windows with the same likeliest keyword, at or above the threshold, form a run. A run that lasts at least
   a quarter of a clip is a candidate.
3. Of candidates less than three quarters of a clip apart, the one with the larger weight (sum of probabilities) is
   kept. At some positions the window contains only the start or the end of a word, which can resemble another word,
   but it contains the whole word for longer.

The delay is limited. A candidate is decided once `LOOKAHEAD_SECONDS` of audio after its window have arrived. Its window
is the middle window of its run, or, if that one is overdue, the first window of the run that is not. A candidate is
dropped if the current run already has three tenths of its weight, because that run is likely to grow.
"""

import dataclasses
import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

# Longest delay between the end of a detection's window and its report.
LOOKAHEAD_SECONDS = 0.5
_SMOOTHING_SECONDS = 0.3
_LEAST_DISTANCE = 0.75  # of a clip, between two words
_LEAST_HOLD = 0.25  # of a clip
_GIVES_WAY = 0.3  # weight of the current run that drops a candidate, as a fraction of the candidate's weight

Row = tuple[np.ndarray, bool]


@dataclasses.dataclass
class _Run:
    """Consecutive windows with the same likeliest keyword at or above the threshold; keyword -1 means none."""

    keyword: int
    first: int
    rows: list[np.ndarray] = dataclasses.field(default_factory=list)
    weight: float = 0.0
    decided: bool = False

    @property
    def middle(self) -> int:
        """Number of the middle window."""
        return self.first + (len(self.rows) - 1) // 2

    @property
    def open(self) -> bool:
        """Whether the run may become a candidate."""
        return self.keyword >= 0 and not self.decided

    def add(self, row: np.ndarray) -> None:
        """Append a window."""
        if self.open:
            self.rows.append(row)
            self.weight += float(row[self.keyword])


@dataclasses.dataclass(frozen=True)
class _Candidate:
    weight: float
    middle: int
    window: int
    row: np.ndarray


class Rule:
    """The detection rule for windows with a fixed hop.

    Args:
        keywords: Indices of the labels that are keywords, shape `(keywords,)`.
        threshold: Smallest averaged probability at which a keyword is accepted.
        hop_seconds: Time from one window to the next, in seconds.
        clip_seconds: Length of a window, in seconds.
        delay_seconds: Time from the end of a window to its probabilities, in seconds.
    """

    def __init__(
        self,
        keywords: np.ndarray,
        threshold: float,
        *,
        hop_seconds: float,
        clip_seconds: float,
        delay_seconds: float = 0.0,
    ):
        self.keywords = keywords
        self.threshold = threshold
        self.width = max(1, round(_SMOOTHING_SECONDS / hop_seconds))
        # The tolerance of 1e-6 absorbs rounding errors of quotients that should be whole numbers.
        ahead = math.floor((LOOKAHEAD_SECONDS - delay_seconds) / hop_seconds + 1e-6)
        self.lookahead = max(0, ahead - (self.width - 1) // 2)
        self.least_hold = math.ceil(_LEAST_HOLD * clip_seconds / hop_seconds - 1e-6)
        self.least_distance = math.ceil(_LEAST_DISTANCE * clip_seconds / hop_seconds - 1e-6)

    def words(self, rows: Iterable[Row]) -> Iterator[tuple[int, np.ndarray]]:
        """Find words.

        Args:
            rows: For each window the probabilities `(labels,)`, and whether the window is loud.

        Yields:
            For each word the number of its window and the averaged probabilities there, `(labels,)`, as early as
            possible.
        """
        run, pending, last = _Run(-1, 0), None, -self.least_distance
        for now, (row, loud) in enumerate(smoothed(rows, self.width)):
            keyword = self._keyword(row, loud)
            if keyword != run.keyword:
                pending = _weightier(pending, self._candidate(run, now, last))
                run = _Run(keyword, now)
            run.add(row)
            if self._cannot_wait(run, now):
                pending = _weightier(pending, self._candidate(run, now, last))
                run.decided = True
            if pending and pending.window + self.lookahead <= now:
                if not (run.open and run.weight >= _GIVES_WAY * pending.weight):
                    yield pending.window, pending.row
                    last = pending.middle
                pending = None
        pending = _weightier(pending, self._candidate(run, run.first + len(run.rows), last))
        if pending:
            yield pending.window, pending.row

    def _keyword(self, row: np.ndarray, loud: bool) -> int:
        likeliest = int(self.keywords[row[self.keywords].argmax()])
        return likeliest if loud and row[likeliest] >= self.threshold else -1

    def _cannot_wait(self, run: _Run, now: int) -> bool:
        """Whether a growing run must become a candidate now, because at the next row its middle window is overdue."""
        if not run.open or len(run.rows) < self.least_hold:
            return False
        return run.first + len(run.rows) // 2 + self.lookahead <= now

    def _candidate(self, run: _Run, now: int, last: int) -> _Candidate | None:
        """Return the candidate of a run; None if the run is too short, decided, or too close to the last word."""
        if not run.open or len(run.rows) < self.least_hold:
            return None
        if run.middle - last < self.least_distance:
            return None
        window = max(run.middle, min(now - self.lookahead, run.first + len(run.rows) - 1))
        return _Candidate(run.weight, run.middle, window, run.rows[window - run.first])


def _weightier(first: _Candidate | None, second: _Candidate | None) -> _Candidate | None:
    if first is None or second is None:
        return first or second
    return second if second.weight > first.weight else first


def smoothed(rows: Iterable[Row], width: int) -> Iterator[Row]:
    """Average each row over the `width` rows around it, fewer at both ends; the flags stay unchanged.

    Args:
        rows: Values `(labels,)` and a flag.
        width: Number of rows to average; if even, one more row before than after.

    Yields:
        The same number of rows, each as soon as the rows after it that it needs have arrived.
    """
    before, after = width // 2, (width - 1) // 2
    recent: deque[np.ndarray] = deque(maxlen=width)
    flags: deque[bool] = deque()
    # The last rows have none after them.
    ends = itertools.repeat((None, None), after)
    for number, (row, loud) in enumerate(itertools.chain(rows, ends), start=-after):
        if row is None:
            if number > before:
                recent.popleft()
        else:
            recent.append(row)
            flags.append(loud)
        if number >= 0:
            yield np.mean(recent, axis=0, dtype=np.float64), flags.popleft()

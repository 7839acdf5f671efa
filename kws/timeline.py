"""From the probabilities of sliding windows to words: the rule of the timeline, for files and live streams alike.

The probabilities are averaged over 0.3 s. Windows in which the same keyword is the likeliest and reaches the threshold are
a run; one that holds for a quarter of a clip is a candidate. While the window slides over a word it also sees the word's
beginning or end alone, which may be like another word; the whole word is in view for longer than its parts. So of
candidates that are less than three quarters of a clip apart the weightier is kept: the one with the larger sum of
probabilities.

What comes later cannot be waited for without end. A candidate is decided when `LOOKAHEAD_SECONDS` of audio have come
behind its window, which is the middle one of its run, or in a run that goes on the latest that this allows. It gives way
to a run that goes on if that already weighs three tenths as much: it is likely to grow.
"""

import dataclasses
import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

# From the end of a detection's window to the moment at which it is told, at most.
LOOKAHEAD_SECONDS = 0.5
_SMOOTHING_SECONDS = 0.3
_LEAST_DISTANCE = 0.75  # of a clip, between two words
_LEAST_HOLD = 0.25  # of a clip
_GIVES_WAY = 0.3  # of a candidate's weight

Row = tuple[np.ndarray, bool]


@dataclasses.dataclass
class _Run:
    """Windows in which one keyword is the likeliest and over the threshold; -1 is none."""

    keyword: int
    first: int
    rows: list[np.ndarray] = dataclasses.field(default_factory=list)
    weight: float = 0.0
    decided: bool = False

    @property
    def middle(self) -> int:
        """The middle one of its windows."""
        return self.first + (len(self.rows) - 1) // 2

    @property
    def open(self) -> bool:
        """Whether it may become a candidate."""
        return self.keyword >= 0 and not self.decided

    def add(self, row: np.ndarray) -> None:
        """Go on by a window."""
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
    """The rule, for windows that follow each other by a fixed hop.

    Args:
        keywords: Which of the labels are keywords, indices `(keywords,)`.
        threshold: Averaged probability from which a keyword counts.
        hop_seconds: From one window to the next.
        clip_seconds: Length of a window.
    """

    def __init__(self, keywords: np.ndarray, threshold: float, *, hop_seconds: float, clip_seconds: float):
        self.keywords = keywords
        self.threshold = threshold
        self.width = max(1, round(_SMOOTHING_SECONDS / hop_seconds))
        # Quotients may come out a little beside the whole number that they are.
        ahead = math.floor(LOOKAHEAD_SECONDS / hop_seconds + 1e-6)
        self.lookahead = max(0, ahead - (self.width - 1) // 2)
        self.least_hold = math.ceil(_LEAST_HOLD * clip_seconds / hop_seconds - 1e-6)
        self.least_distance = math.ceil(_LEAST_DISTANCE * clip_seconds / hop_seconds - 1e-6)

    def words(self, rows: Iterable[Row]) -> Iterator[tuple[int, np.ndarray]]:
        """Find words.

        Args:
            rows: Of each window the probabilities `(labels,)`, and whether there is anything to hear in it.

        Yields:
            Of each word the number of its window and the averaged probabilities there, `(labels,)`, as soon as no more
            rows are needed.
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
        """Whether a run that goes on would have too late a window by the next row."""
        if not run.open or len(run.rows) < self.least_hold:
            return False
        return run.first + len(run.rows) // 2 + self.lookahead <= now

    def _candidate(self, run: _Run, now: int, last: int) -> _Candidate | None:
        """Return what is to be decided of a run; None if it is short, decided, or too near to the last word."""
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
    """Average over `width` rows around each row, over fewer at the ends; what stands beside stays as it is.

    Args:
        rows: Values `(labels,)`, and what stands beside.
        width: How many rows; one more of those before than of those behind where it is even.

    Yields:
        As many rows, each as soon as those behind it have come.
    """
    before, after = width // 2, (width - 1) // 2
    recent: deque[np.ndarray] = deque(maxlen=width)
    beside: deque[bool] = deque()
    # The last rows have none behind them.
    ends = itertools.repeat((None, None), after)
    for number, (row, loud) in enumerate(itertools.chain(rows, ends), start=-after):
        if row is None:
            if number > before:
                recent.popleft()
        else:
            recent.append(row)
            beside.append(loud)
        if number >= 0:
            yield np.mean(recent, axis=0, dtype=np.float64), beside.popleft()

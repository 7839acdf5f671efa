"""The rule of the timeline: against one that knows the whole recording, and how soon it speaks."""

import numpy as np
import pytest

from kws.timeline import LOOKAHEAD_SECONDS, Rule, smoothed

KEYWORDS = np.array([0, 1])  # of three labels


def rows_of(values, loud=None):
    return zip(values, np.ones(len(values), bool) if loud is None else loud, strict=True)


def rule(hop_seconds=0.1, clip_seconds=1.0, threshold=0.5):
    return Rule(KEYWORDS, threshold, hop_seconds=hop_seconds, clip_seconds=clip_seconds)


def words(values, **options):
    return [(window, int(row[:2].argmax())) for window, row in rule(**options).words(rows_of(values))]


def runs(*lengths, num_labels=3):
    """Rows in which a label is certain for so many windows: `(label, windows)` each."""
    return np.concatenate([np.tile(np.eye(num_labels)[label], (length, 1)) for label, length in lengths])


@pytest.mark.parametrize("num_rows", [0, 1, 2, 3, 7, 50])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 30])
def test_smoothing_is_a_moving_average_over_what_is_there(rng, num_rows, width):
    values = rng.uniform(size=(num_rows, 3))
    found = list(smoothed(rows_of(values, np.arange(num_rows)), width))
    assert [loud for _, loud in found] == list(range(num_rows))
    for number, (row, _) in enumerate(found):
        around = values[max(0, number - width // 2) : number + (width - 1) // 2 + 1]
        np.testing.assert_allclose(row, around.mean(axis=0), rtol=1e-12)


def whole(values, hop_seconds, threshold=0.5, clip_seconds=1.0):
    """Find words with all windows at hand: of candidates that overlap, by any chain, the one with the largest sum."""
    width = max(1, round(0.3 / hop_seconds))
    counts = np.convolve(np.ones(len(values)), np.ones(width), mode="same")
    averages = np.stack([np.convolve(column, np.ones(width), mode="same") / counts for column in values.T], axis=1)
    found = []
    for index in KEYWORDS:
        over = (averages[:, index] >= threshold) & (averages[:, :2].argmax(axis=1) == index)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], over.astype(int), [0]])))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            if (end - first) * hop_seconds >= 0.25 * clip_seconds - 1e-9:
                found.append((averages[first:end, index].sum(), (first + end - 1) // 2, int(index)))
    kept = []
    for _, window, index in sorted(found, key=lambda item: -item[0]):
        if all(abs(window - other) * hop_seconds >= 0.75 * clip_seconds - 1e-9 for other, _ in kept):
            kept.append((window, index))
    return sorted(kept)


@pytest.mark.parametrize("hop_seconds", [0.1, 0.05, 0.02])
def test_words_apart_are_those_that_are_found_with_all_windows_at_hand(rng, hop_seconds):
    # A word is in view for 0.3 to 0.7 s; pauses of a second.
    parts = [(2, 1)]
    for _ in range(40):
        parts += [(int(rng.integers(2)), round(rng.uniform(0.3, 0.7) / hop_seconds)), (2, round(1.0 / hop_seconds))]
    values = 0.8 * runs(*parts) + 0.2 * rng.dirichlet([1.0] * 3, sum(length for _, length in parts))
    expected = whole(values, hop_seconds)
    assert len(expected) >= 38
    assert words(values, hop_seconds=hop_seconds) == expected


@pytest.mark.parametrize(("first", "second", "kept"), [(3, 6, 1), (6, 3, 0), (8, 5, 0), (4, 8, 1)])
def test_a_part_of_a_word_gives_way_to_the_whole(first, second, kept):
    values = runs((2, 5), (0, first), (1, second), (2, 10))
    assert [word for _, word in words(values)] == [kept]


@pytest.mark.parametrize(("first", "second", "kept"), [(2, 3, 1), (3, 2, 0)])
def test_of_two_that_have_ended_the_weightier_is_kept(first, second, kept):
    # Of clips of half a second both end before the first is to be decided.
    values = runs((2, 5), (0, first), (1, second), (2, 10))
    assert [word for _, word in words(values, clip_seconds=0.5)] == [kept]


def test_what_holds_for_less_than_a_quarter_of_a_clip_is_no_word():
    # Averaged over three windows, two certain ones are over the threshold for two.
    assert words(runs((2, 5), (0, 2), (2, 5))) == []
    assert words(runs((2, 5), (0, 3), (2, 5))) == [(6, 0)]


def test_a_word_that_goes_on_is_told_once():
    (found,) = words(runs((2, 5), (0, 500), (2, 5)))
    assert found[1] == 0 and 5 <= found[0] <= 14


def test_two_words_are_three_quarters_of_a_clip_apart():
    for pause, number in ((1, 1), (3, 2)):
        assert len(words(runs((2, 5), (0, 5), (2, pause), (0, 5), (2, 5)))) == number


def test_quiet_windows_hold_no_word():
    loud = np.zeros(20, bool)
    assert not list(rule().words(rows_of(runs((0, 20)), loud)))


def test_what_stands_at_the_end_is_told_at_the_end():
    assert words(runs((2, 5), (1, 4))) == [(6, 1)]


@pytest.mark.parametrize("clip_seconds", [1.0, 0.3, 5.0])
@pytest.mark.parametrize("hop_seconds", [0.01, 0.05, 0.1, 0.13, 0.3, 0.5, 0.6, 1.0])
@pytest.mark.parametrize("holds", [1, 2, 6])
def test_a_word_is_told_in_time(rng, hop_seconds, clip_seconds, holds):
    if hop_seconds > clip_seconds:
        pytest.skip("windows would leave samples out")
    # Labels that hold for about as long as they must, and for longer.
    num_windows = max(1, round(holds * max(0.3, 0.25 * clip_seconds) / hop_seconds))
    values = np.repeat(rng.dirichlet([0.3] * 3, 80), num_windows, axis=0)
    now = -1

    def live():
        nonlocal now
        for now, row in enumerate(values):  # noqa: B007 - how far it is
            yield row, True

    found = []
    for window, row in rule(hop_seconds, clip_seconds, 0.4).words(live()):
        # A window ends a hop after the one before.
        assert window <= now <= window + LOOKAHEAD_SECONDS / hop_seconds + 1e-6
        assert row[:2].max() >= 0.4
        found.append(window)
    assert len(found) > 5
    # The middles of runs are three quarters of a clip apart; the windows told may lie an eighth and a hop behind them.
    assert (np.diff(found) * hop_seconds >= 0.625 * clip_seconds - hop_seconds - 1e-9).all()

import itertools

import numpy as np
import pytest
import soundfile

from common.errors import UserError
from counting import inference
from counting.config import Config
from counting.inference import SpeakerCount, SpeakerCounter

RATE = 16000


def counter(run, counts=(1, 2), sexes=None):
    return SpeakerCounter(run, sample_rate=RATE, num_samples=RATE, counts=counts, sexes=sexes)


def loudness(clips):
    """Two speakers where a clip is loud, else one."""
    loud = np.abs(clips).max(axis=1) > 0.5
    return np.stack([~loud, loud], axis=1).astype(np.float32)


def noisy(clips):
    """Probabilities that follow from what stands in the middle of a clip."""
    numbers = (np.abs(clips[:, RATE // 2]) * 1e6).astype(int)
    return np.stack([np.random.default_rng(number).dirichlet([0.3] * 2) for number in numbers])


def test_the_count_is_the_likeliest_sum_and_the_pair_is_of_that_sum():
    """By hand from all pairs, one after another."""
    rng = np.random.default_rng(0)
    config = Config(min_speakers=0, max_speakers=3)
    probabilities = rng.dirichlet([0.5] * len(config.sexes), 200)
    found = inference.decide(probabilities, config.counts, config.sexes)
    for number, row in enumerate(probabilities):
        sums = {
            count: sum(p for p, pair in zip(row, config.sexes, strict=True) if sum(pair) == count) for count in range(4)
        }
        count = max(sums, key=sums.get)
        pair = max((p, pair) for p, pair in zip(row, config.sexes, strict=True) if sum(pair) == count)[1]
        assert (found["count"][number], found["female"][number], found["male"][number]) == (count, *pair)
        np.testing.assert_allclose(found["count_probabilities"][number], list(sums.values()), atol=1e-6)


def test_without_sexes_only_the_count_is_answered():
    found = inference.decide(np.array([[0.1, 0.2, 0.6, 0.1]], np.float32), (0, 1, 2, 3))
    assert found["count"].tolist() == [2]
    assert "female" not in found


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.9, 20.0])
def test_a_timeline_covers_the_recording_without_gaps(seconds):
    found = list(counter(loudness).timeline(np.zeros(round(seconds * RATE)), merge=False))
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(seconds)
    assert [one.end for one in found[:-1]] == [one.start for one in found[1:]]
    assert all(one.end > one.start for one in found)


def test_a_timeline_says_when():
    waveform = np.full(10 * RATE, 0.1, np.float32)
    waveform[4 * RATE : 6 * RATE] = 1.0
    found = list(counter(loudness).timeline(waveform))
    assert [one.count for one in found] == [1, 2, 1]
    assert found[1].start == pytest.approx(4, abs=0.5)
    assert found[1].end == pytest.approx(6, abs=0.5)


@pytest.mark.parametrize(("merge", "smoothing_seconds"), [(True, 0.0), (False, 0.0), (False, 1.0), (True, 1.0)])
@pytest.mark.parametrize("hop_seconds", [0.25, 0.1, 0.33, 1.0])
def test_a_stream_has_the_same_answers_whatever_its_blocks(rng, hop_seconds, merge, smoothing_seconds):
    asked = {"hop_seconds": hop_seconds, "merge": merge, "smoothing_seconds": smoothing_seconds}
    waveform = np.repeat(rng.uniform(0.1, 1, 205), 1600)[:-700].astype(np.float32)
    listener = counter(noisy)
    expected = list(listener.timeline(waveform, **asked))
    assert len(expected) > 3
    for num_samples in (1000, round(hop_seconds * RATE), RATE + 1, len(waveform)):
        blocks = (waveform[first : first + num_samples] for first in range(0, len(waveform), num_samples))
        assert list(listener.stream(blocks, **asked)) == expected


@pytest.mark.parametrize(("hop_seconds", "smoothing_seconds"), [(0.25, 1.0), (0.1, 0.0), (0.05, 0.4)])
def test_a_live_stream_is_answered_as_soon_as_is_said(rng, hop_seconds, smoothing_seconds):
    asked = {"hop_seconds": hop_seconds, "smoothing_seconds": smoothing_seconds}
    waveform = rng.uniform(0.1, 1, 20 * RATE).astype(np.float32)
    hop = round(hop_seconds * RATE)
    listener, heard = counter(noisy), 0

    def microphone():
        nonlocal heard
        for block in np.split(waveform, len(waveform) // hop):
            heard += len(block)
            yield block

    delays = [heard / RATE - one.end for one in listener.stream(microphone(), merge=False, **asked)]
    # The last stretches wait for the end of the recording only, not for windows after it.
    num_last = 1 + round(smoothing_seconds / 2 / hop_seconds)
    np.testing.assert_allclose(delays[:-num_last], listener.lookahead_seconds(**asked), atol=1e-9)
    heard = 0
    delays = [heard / RATE - one.end for one in listener.stream(microphone(), **asked)]
    assert len(delays) > 5
    assert max(delays) <= listener.lookahead_seconds(**asked) + hop_seconds + 1e-9


def windows(counts, silent=()):
    """A batch of windows that are certain of a count, 0 to 2."""
    silent = np.isin(np.arange(len(counts)), silent)
    return inference.Windows(np.arange(len(counts)), silent, np.eye(3, dtype=np.float32)[list(counts)])


def smooth(batches, num_around):
    return np.concatenate([one.outputs for one in inference.smoothed(batches, num_around)])


def test_a_single_odd_window_is_smoothed_away_and_a_change_stays_where_it_is():
    found = smooth([windows([1, 1, 2, 1, 1, 2, 2, 2])], 1)
    assert found.argmax(axis=1).tolist() == [1, 1, 1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(found.sum(axis=1), 1)
    for size in (1, 3):
        parts = [windows([1, 1, 2, 1, 1, 2, 2, 2][first : first + size]) for first in range(0, 8, size)]
        np.testing.assert_array_equal(smooth(parts, 1), found)


def test_silence_does_not_count_in_the_median_of_others():
    found = smooth([windows([1, 1, 0, 0, 0, 2, 2], silent=(2, 3, 4))], 2)
    assert found.argmax(axis=1).tolist() == [1, 1, 0, 0, 0, 2, 2]


def test_without_a_majority_a_window_keeps_its_own_count():
    assert smooth([windows([0, 1, 2])], 1)[1].tolist() == [0, 1, 0]
    assert list(inference.smoothed([], 2)) == []


def test_nobody_speaks_in_digital_silence_whatever_a_model_says():
    waveform = np.ones(10 * RATE, np.float32)
    waveform[4 * RATE : 6 * RATE] = 0.0
    pairs = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    for sexes in (None, pairs):
        last = np.eye(len(sexes or (1, 2)), dtype=np.float32)[-1:]
        found = list(
            counter(lambda clips, last=last: np.repeat(last, len(clips), axis=0), sexes=sexes).timeline(waveform)
        )
        assert [one.count for one in found] == [2, 0, 2]
        assert found[1].female == found[1].male == (0 if sexes else None)


def test_equal_answers_are_joined_and_their_probability_is_the_mean():
    found = [SpeakerCount(0, 1, 2, 1, 1, 0.5), SpeakerCount(1, 2, 2, 1, 1, 0.7), SpeakerCount(2, 3, 2, 2, 0, 0.9)]
    joined = list(inference.merged(found))
    assert [(one.start, one.end, one.female) for one in joined] == [(0, 2, 1), (2, 3, 2)]
    assert joined[0].probability == pytest.approx(0.6)
    assert list(inference.merged([])) == []


def test_of_a_recording_the_loudest_clip_is_counted(tmp_path):
    waveform = np.full(3 * RATE, 0.1, np.float32)
    assert counter(loudness).predict(waveform) == SpeakerCount(0.0, 3.0, 1, None, None, 1.0)
    waveform[2 * RATE :] = 0.6
    soundfile.write(tmp_path / "a.wav", waveform, RATE, subtype="FLOAT")
    stereo = (np.stack([waveform] * 2, axis=1) * 2**15).astype(np.int16)
    for source in (tmp_path / "a.wav", waveform, stereo):
        assert counter(loudness).predict(source) == SpeakerCount(0.0, 3.0, 2, None, None, 1.0)
    assert counter(loudness).predict(waveform[::2].copy(), RATE // 2).end == pytest.approx(3.0)


def test_what_cannot_be_heard_is_refused(tmp_path):
    for hop_seconds in (0.0, 1.5):
        with pytest.raises(UserError, match="^hop_seconds: expected"):
            counter(loudness).timeline(np.zeros(RATE), hop_seconds=hop_seconds)
    with pytest.raises(UserError, match="^smoothing_seconds: expected a number from 0 to 60"):
        counter(loudness).timeline(np.zeros(RATE), smoothing_seconds=-1)
    with pytest.raises(UserError, match="does not exist"):
        counter(loudness).predict(tmp_path / "missing.wav")


def test_what_is_shown_fits_on_a_line():
    assert repr(counter(loudness)) == "SpeakerCounter(1 to 2 speakers, 16000 Hz)"
    pairs = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    assert repr(counter(loudness, sexes=pairs)) == "SpeakerCounter(1 to 2 speakers, women and men, 16000 Hz)"
    assert repr(SpeakerCount(0, 1.25, 2, 1, 1, 0.71234)) == (
        "SpeakerCount(count=2, female=1, male=1, probability=0.712, start=0.00, end=1.25)"
    )
    assert "female" not in repr(SpeakerCount(0, 1.25, 2, None, None, 0.7))


def test_doubled_runs_of_equal_answers_stay_apart_where_others_lie_between():
    found = [SpeakerCount(start, start + 1, count, None, None, 0.5) for start, count in enumerate((1, 1, 2, 1))]
    joined = list(inference.merged(found))
    assert [one.count for one in joined] == [1, 2, 1]
    assert all(one.end == other.start for one, other in itertools.pairwise(joined))

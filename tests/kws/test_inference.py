import io

import numpy as np
import pytest
import soundfile

from common.audio.sliding import Stretch
from common.errors import UserError
from kws.inference import LOOKAHEAD_SECONDS, Detection, KeywordSpotter

LABELS = ("yes", "no", "_silence_")
RATE = 16000


def spotter(run, threshold=0.5, labels=LABELS):
    return KeywordSpotter(run, sample_rate=RATE, num_samples=RATE, labels=labels, threshold=threshold)


def always(*row):
    return lambda clips: np.tile(np.array(row, np.float32), (len(clips), 1))


def centres(clips):
    """Say yes where 0.25 stands in the middle of a clip, no where 0.5, else silence."""
    words = [{0.25: 0, 0.5: 1}.get(float(clip[len(clip) // 2]), 2) for clip in clips]
    return 0.9 * np.eye(3)[words] + 0.1 / 3


def noisy(clips):
    """Answer by what stands in the middle of a clip, as a model that is often wrong."""
    numbers = (np.abs(clips[:, RATE // 2]) * 1e6).astype(int)
    return np.stack([np.random.default_rng(number // 50_000).dirichlet([0.3] * 3) for number in numbers])


def shared(run):
    """A stretch of the same answers, which needs 0.25 s before and 0.15 s after a window."""

    def of_stretch(waveform, hop):
        starts = range(4000, len(waveform) - RATE - 2400 + 1, hop)
        return run(np.stack([waveform[start : start + RATE] for start in starts]))

    return Stretch(of_stretch, 800, 4000, 2400)


def recording(*words):
    """Ten seconds of faint noise with words (value, second) of half a second each."""
    waveform = np.full(10 * RATE, 0.01, np.float32)
    for value, second in words:
        waveform[int(second * RATE) : int((second + 0.5) * RATE)] = value
    return waveform


def in_blocks(waveform, num_samples):
    return [waveform[first : first + num_samples] for first in range(0, len(waveform), num_samples)]


def test_words_are_found_once_each_where_they_are():
    found = list(spotter(centres).timeline(recording((0.25, 2), (0.5, 5), (0.25, 8))))
    assert [item.word for item in found] == ["yes", "no", "yes"]
    for item, second in zip(found, (2, 5, 8), strict=True):
        assert item.start <= second + 0.25 <= item.end
        assert item.end - item.start == pytest.approx(1.0)
        assert item.accepted and item.probability >= 0.5


def test_silence_is_no_detection():
    assert list(spotter(centres).timeline(recording())) == []


def test_a_muted_recording_has_no_words_whatever_the_model_says():
    assert list(spotter(always(1, 0, 0)).timeline(np.zeros(10 * RATE, np.float32))) == []


def test_a_threshold_above_every_probability_finds_nothing():
    assert list(spotter(centres, 0.999).timeline(recording((0.25, 2)))) == []


@pytest.mark.parametrize(("threshold", "word", "accepted"), [(0.39, "yes", True), (0.41, "_silence_", False)])
def test_a_clip_is_accepted_by_its_likeliest_keyword_whatever_the_other_classes_say(threshold, word, accepted):
    unsure = spotter(always(0.4, 0.1, 0.5), threshold)
    answer = unsure.classify([recording()])[0]
    assert (answer.word, answer.accepted) == (word, accepted)
    assert [item.word for item in unsure.timeline(recording())] == (["yes"] if accepted else [])


def test_a_recording_longer_than_a_block_gets_the_timeline_of_its_parts():
    parts = [recording((0.25, 2), (0.5, 5)) for _ in range(11)]
    found = list(spotter(centres).timeline(np.concatenate(parts)))
    assert [item.word for item in found] == ["yes", "no"] * 11
    assert found[-1].start == pytest.approx(105, abs=0.5)


@pytest.mark.parametrize("hop_seconds", [0.1, 0.05, 0.13, 1.0])
def test_a_stream_has_the_same_words_whatever_its_blocks(rng, hop_seconds):
    waveform = np.repeat(rng.uniform(0, 1, 400), 4000).astype(np.float32) + 0.01
    listener = spotter(noisy, 0.35)
    expected = list(listener.timeline(waveform, hop_seconds=hop_seconds))
    assert len(expected) > 5
    hop = round(hop_seconds * RATE)
    for num_samples in (hop // 3, hop, RATE + 1, len(waveform)):
        assert list(listener.stream(in_blocks(waveform, num_samples), hop_seconds=hop_seconds)) == expected


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("hop_seconds", [0.1, 0.05, 0.25])
def test_a_word_of_a_live_stream_is_told_half_a_second_after_its_window_at_the_latest(rng, hop_seconds, is_shared):
    waveform = np.repeat(rng.uniform(0, 1, 400), 4000).astype(np.float32) + 0.01
    heard = 0

    def microphone():
        nonlocal heard
        for block in in_blocks(waveform, round(hop_seconds * RATE)):
            heard += len(block)
            yield block

    listener = spotter(noisy, 0.35)
    listener.stretch = shared(noisy) if is_shared else None
    delays = [heard / RATE - item.end for item in listener.stream(microphone(), hop_seconds=hop_seconds)]
    assert len(delays) > 20
    assert min(delays) >= -1e-9 and max(delays) <= LOOKAHEAD_SECONDS + 1e-9


def test_only_recordings_well_over_a_clip_get_a_timeline():
    assert not spotter(centres).is_long(np.zeros(24_000))
    assert spotter(centres).is_long(np.zeros(24_001))


def test_a_clip_of_digital_silence_is_silence_whatever_the_model_says():
    for labels in (LABELS, ("yes", "no", "stop")):
        answers = spotter(always(1, 0, 0), labels=labels).classify([np.zeros(RATE, np.float32), recording()])
        assert [(answer.word, answer.accepted) for answer in answers] == [("_silence_", False), ("yes", True)]


def test_no_clips_have_no_answers():
    assert spotter(centres).classify([]) == []


def test_a_word_is_named_wherever_it_comes_from(tmp_path):
    narrow = np.zeros(8000, np.float32)
    narrow[2000:6000] = 0.5  # of 16000 samples at 16 kHz the middle half
    soundfile.write(tmp_path / "a.wav", np.stack([narrow] * 2, axis=1), 8000, subtype="FLOAT")
    # Resampling rings a little.
    listener = spotter(lambda clips: centres(np.round(clips, 2)))
    with (tmp_path / "a.wav").open("rb") as file:
        sources = [tmp_path / "a.wav", str(tmp_path / "a.wav"), file, io.BytesIO((tmp_path / "a.wav").read_bytes())]
        answers = [listener.predict(source) for source in sources]
    pcm = (narrow * 2**15).astype(np.int16)
    answers += [listener.predict(waveform, 8000) for waveform in (narrow, np.stack([narrow] * 2, axis=1), pcm)]
    assert {(answer.word, answer.start, answer.end) for answer in answers} == {("no", 0.0, 1.0)}
    assert listener.predict(np.repeat(narrow, 2)).word == "no"


def test_of_a_long_recording_the_loudest_clip_counts():
    answer = spotter(centres).predict(recording((0.25, 1), (0.5, 7)))
    assert (answer.word, answer.start, answer.end) == ("no", 0.0, 10.0)


def test_what_cannot_be_heard_is_refused(tmp_path):
    listener = spotter(centres)
    for hop_seconds in (0.0, -1.0, float("nan"), 1.5):
        with pytest.raises(UserError, match="^hop_seconds: expected"):
            listener.timeline(recording(), hop_seconds=hop_seconds)
    with pytest.raises(UserError, match="does not exist"):
        listener.predict(tmp_path / "missing.wav")
    with pytest.raises(UserError, match="NaN"):
        listener.predict(np.array([0.0, np.nan]))


def test_what_is_shown_fits_on_a_line():
    assert repr(spotter(centres, 0.6249)) == "KeywordSpotter(2 words, 16000 Hz, threshold 0.62)"
    found = Detection(1.25, 2.25, "yes", 0.93456, (0.93456, 0.06, 0.00544), True)
    assert repr(found) == "Detection(word='yes', probability=0.935, start=1.25, end=2.25, accepted=True)"

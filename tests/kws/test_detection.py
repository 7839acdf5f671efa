import numpy as np
import pytest

from kws import detection
from kws.config import VARIANTS, Config

CONFIG = Config(words=("yes", "no"), silence=True)


class FixedModel:
    """A model whose answer is written in the samples: the integer part of a window's last quiet-free sample."""

    def predict(self, windows, batch_size, verbose):
        return np.stack([np.bincount([self.word(window)], minlength=3) * 0.9 + 0.1 / 3 for window in windows])

    @staticmethod
    def word(window):
        centre = window[len(window) // 2]
        return {0.25: 0, 0.5: 1}.get(float(centre), 2)


def recording(*words):
    """Ten seconds of faint noise with words (value, second) of half a second each."""
    waveform = np.full(160_000, 0.01, np.float32)
    for value, second in words:
        waveform[int(second * 16000) : int((second + 0.5) * 16000)] = value
    return waveform


def test_words_are_found_once_each_where_they_are():
    found = detection.timeline(FixedModel(), CONFIG, recording((0.25, 2), (0.5, 5), (0.25, 8)), 0.1, 0.5)
    assert [item.word for item in found] == ["yes", "no", "yes"]
    for item, second in zip(found, (2, 5, 8), strict=True):
        assert item.start <= second + 0.25 <= item.end
        assert item.end - item.start == pytest.approx(CONFIG.clip_seconds)


def test_silence_is_no_detection():
    assert detection.timeline(FixedModel(), CONFIG, recording(), 0.1, 0.5) == []


def test_a_muted_recording_has_no_words_whatever_the_model_says():
    class Yes(FixedModel):
        word = staticmethod(lambda window: 0)

    assert detection.timeline(Yes(), CONFIG, np.zeros(160_000, np.float32), 0.1, 0.5) == []


def test_a_threshold_above_every_probability_finds_nothing():
    assert detection.timeline(FixedModel(), CONFIG, recording((0.25, 2)), 0.1, 0.999) == []


@pytest.mark.parametrize(
    ("threshold", "word", "accepted"),
    [(0.39, "yes", True), (0.41, "_silence_", False)],
)
def test_a_clip_is_accepted_by_its_likeliest_keyword_whatever_the_other_classes_say(threshold, word, accepted):
    class Unsure(FixedModel):
        def predict(self, windows, batch_size, verbose):
            return np.array([[0.4, 0.1, 0.5]] * len(windows))

    answer = detection.classify(Unsure(), CONFIG, [recording()], threshold)[0]
    assert (answer.word, answer.accepted) == (word, accepted)
    found = detection.timeline(Unsure(), CONFIG, recording(), 0.1, threshold)
    assert [item.word for item in found] == (["yes"] if accepted else [])


def test_a_recording_longer_than_a_block_gets_the_timeline_of_its_parts():
    parts = [recording((0.25, 2), (0.5, 5)) for _ in range(11)]
    found = detection.timeline(FixedModel(), CONFIG, np.concatenate(parts), 0.1, 0.5)
    assert [item.word for item in found] == ["yes", "no"] * 11
    assert found[-1].start == pytest.approx(105, abs=0.5)


def test_only_recordings_well_over_a_clip_get_a_timeline():
    assert not detection.is_long(VARIANTS["default"], np.zeros(24_000, np.float32))
    assert detection.is_long(VARIANTS["default"], np.zeros(24_001, np.float32))

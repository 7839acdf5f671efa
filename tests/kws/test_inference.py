import numpy as np
import pytest

from kws import inference
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


def timeline(model, waveform, hop_seconds, threshold, block=160_000):
    blocks = [waveform[first : first + block] for first in range(0, len(waveform), block)]
    return list(inference.timeline(model, CONFIG, blocks, hop_seconds, threshold))


def recording(*words):
    """Ten seconds of faint noise with words (value, second) of half a second each."""
    waveform = np.full(160_000, 0.01, np.float32)
    for value, second in words:
        waveform[int(second * 16000) : int((second + 0.5) * 16000)] = value
    return waveform


def test_words_are_found_once_each_where_they_are():
    found = timeline(FixedModel(), recording((0.25, 2), (0.5, 5), (0.25, 8)), 0.1, 0.5)
    assert [item.word for item in found] == ["yes", "no", "yes"]
    for item, second in zip(found, (2, 5, 8), strict=True):
        assert item.start <= second + 0.25 <= item.end
        assert item.end - item.start == pytest.approx(CONFIG.clip_seconds)


def test_silence_is_no_detection():
    assert timeline(FixedModel(), recording(), 0.1, 0.5) == []


def test_a_muted_recording_has_no_words_whatever_the_model_says():
    class Yes(FixedModel):
        word = staticmethod(lambda window: 0)

    assert timeline(Yes(), np.zeros(160_000, np.float32), 0.1, 0.5) == []


def test_a_threshold_above_every_probability_finds_nothing():
    assert timeline(FixedModel(), recording((0.25, 2)), 0.1, 0.999) == []


@pytest.mark.parametrize(
    ("threshold", "word", "accepted"),
    [(0.39, "yes", True), (0.41, "_silence_", False)],
)
def test_a_clip_is_accepted_by_its_likeliest_keyword_whatever_the_other_classes_say(threshold, word, accepted):
    class Unsure(FixedModel):
        def predict(self, windows, batch_size, verbose):
            return np.array([[0.4, 0.1, 0.5]] * len(windows))

    answer = inference.classify(Unsure(), CONFIG, [recording()], threshold)[0]
    assert (answer.word, answer.accepted) == (word, accepted)
    found = timeline(Unsure(), recording(), 0.1, threshold)
    assert [item.word for item in found] == (["yes"] if accepted else [])


def test_a_recording_longer_than_a_block_gets_the_timeline_of_its_parts():
    parts = [recording((0.25, 2), (0.5, 5)) for _ in range(11)]
    found = timeline(FixedModel(), np.concatenate(parts), 0.1, 0.5)
    assert [item.word for item in found] == ["yes", "no"] * 11
    assert found[-1].start == pytest.approx(105, abs=0.5)


def test_only_recordings_well_over_a_clip_get_a_timeline():
    assert not inference.is_long(VARIANTS["default"], np.zeros(24_000, np.float32))
    assert inference.is_long(VARIANTS["default"], np.zeros(24_001, np.float32))


def reference(model, waveform, hop_seconds, threshold):
    """Find words with the whole recording in memory, as it was done before it was read as a stream."""
    hop = round(hop_seconds * 16000)
    windows = np.lib.stride_tricks.sliding_window_view(waveform, CONFIG.num_samples)[::hop]
    values, width = model.predict(windows, 64, 0), max(1, round(0.3 / hop_seconds))
    counts = np.convolve(np.ones(len(values)), np.ones(width), mode="same")
    smoothed = np.stack([np.convolve(column, np.ones(width), mode="same") / counts for column in values.T], axis=1)
    loud = np.sqrt(np.mean(np.square(windows), axis=1)) > 1e-3
    found = []
    for index in (0, 1):
        over = loud & (smoothed[:, index] >= threshold) & (smoothed[:, :2].argmax(axis=1) == index)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], over.astype(int), [0]])))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            if (end - first) * hop >= 0.25 * CONFIG.num_samples:
                middle = (first + end - 1) // 2
                found.append((smoothed[first:end, index].sum(), middle * hop / 16000, index, smoothed[middle, index]))
    kept = []
    for _, start, index, probability in sorted(found, key=lambda item: -item[0]):
        if all(abs(start - other[0]) >= 0.75 for other in kept):
            kept.append((start, index, probability))
    return sorted(kept)


class Noisy(FixedModel):
    """Answers to a window by what stands in its middle, as a model that is often wrong."""

    def predict(self, windows, batch_size, verbose):
        centres = (np.abs(windows[:, 8000]) * 1e6).astype(int)
        return np.stack([np.random.default_rng(centre // 50_000).dirichlet([0.3] * 3) for centre in centres])


@pytest.mark.parametrize("hop_seconds", [0.1, 0.05, 0.13, 1.0])
@pytest.mark.parametrize("block", [1_000, 16_001, 160_000])
def test_a_stream_has_the_words_of_the_whole_recording(rng, hop_seconds, block):
    waveform = np.repeat(rng.uniform(0, 1, 400), 4000).astype(np.float32) + 0.01
    found = timeline(Noisy(), waveform, hop_seconds, 0.35, block)
    expected = reference(Noisy(), waveform, hop_seconds, 0.35)
    assert len(expected) > 5
    assert [(item.start, item.word) for item in found] == [(start, CONFIG.words[index]) for start, index, _ in expected]
    np.testing.assert_allclose([item.probability for item in found], [item[2] for item in expected], rtol=1e-12)


def test_a_clip_of_digital_silence_is_silence_whatever_the_model_says():
    class Yes(FixedModel):
        word = staticmethod(lambda window: 0)

    for config in (CONFIG, Config(words=("yes", "no", "stop"))):
        answers = inference.classify(Yes(), config, [np.zeros(16000, np.float32), recording()], 0.5)
        assert [(answer.word, answer.accepted) for answer in answers] == [("_silence_", False), ("yes", True)]


def test_no_clips_have_no_answers():
    assert inference.classify(FixedModel(), CONFIG, [], 0.5) == []

import numpy as np
import pytest

from counting import inference
from counting.config import Config
from counting.inference import Answer


def test_the_count_is_the_likeliest_sum_and_the_pair_is_of_that_sum():
    config = Config(max_speakers=2)
    probabilities = np.array([[0, 0.4, 0.2, 0.3, 0.1], [0.7, 0.1, 0.1, 0.1, 0]], np.float32)
    found = {name: value.numpy() for name, value in inference.decide(config, probabilities).items()}
    assert found["count"].tolist() == [2, 1]
    assert found["female"].tolist() == [1, 1]
    assert found["male"].tolist() == [1, 0]
    np.testing.assert_allclose(found["count_probabilities"], [[0.4, 0.6], [0.8, 0.2]], atol=1e-6)


def test_without_sexes_only_the_count_is_answered():
    found = inference.decide(Config(head="class", min_speakers=0), np.array([[0.1, 0.2, 0.6, 0.1]], np.float32))
    assert found["count"].numpy().tolist() == [2]
    assert "female" not in found


class Loudness:
    """Answers two speakers where a window is loud."""

    def predict_on_batch(self, waveforms):
        loud = np.abs(waveforms).max(axis=1) > 0.5
        return np.stack([~loud, loud], axis=1).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.4, 1.0, 2.9, 20.0])
def test_a_timeline_covers_the_recording_without_gaps(seconds):
    config = Config(head="class", max_speakers=2)
    found = list(inference.timeline(Loudness(), config, [np.zeros(round(seconds * 16000), np.float32)], 0.25))
    assert found[0].start == 0
    assert found[-1].end == pytest.approx(seconds)
    assert [one.end for one in found[:-1]] == [one.start for one in found[1:]]
    assert all(one.end > one.start for one in found)


def test_a_timeline_says_when():
    config = Config(head="class", max_speakers=2)
    waveform = np.full(160000, 0.1, np.float32)
    waveform[64000:96000] = 1.0  # 4 to 6 s
    # In blocks, as a stream brings them.
    found = inference.timeline(Loudness(), config, np.split(waveform, 10), 0.25)
    merged = list(inference.merge(found))
    assert [one.count for one in merged] == [1, 2, 1]
    assert merged[1].start == pytest.approx(4, abs=0.5)
    assert merged[1].end == pytest.approx(6, abs=0.5)


class Last:
    """Always answers the last label: as many speakers as there can be."""

    def __init__(self, num_labels: int):
        self.num_labels = num_labels

    def predict_on_batch(self, waveforms):
        return np.eye(self.num_labels, dtype=np.float32)[np.full(len(waveforms), self.num_labels - 1)]


def test_nobody_speaks_in_digital_silence_whatever_a_model_says():
    waveform = np.ones(160000, np.float32)
    waveform[64000:96000] = 0.0
    for head in ("class", "sex"):
        config = Config(head=head, max_speakers=2)
        merged = list(inference.merge(inference.timeline(Last(len(config.labels)), config, [waveform], 0.25)))
        assert [one.count for one in merged] == [2, 0, 2]
        assert merged[1].female == merged[1].male == (0 if head == "sex" else None)


def test_equal_answers_are_joined_and_their_probability_is_the_mean():
    found = [Answer(0, 1, 2, 1, 1, 0.5), Answer(1, 2, 2, 1, 1, 0.7), Answer(2, 3, 2, 2, 0, 0.9)]
    merged = list(inference.merge(found))
    assert [(one.start, one.end, one.female) for one in merged] == [(0, 2, 1), (2, 3, 2)]
    assert merged[0].probability == pytest.approx(0.6)
    assert list(inference.merge([])) == []

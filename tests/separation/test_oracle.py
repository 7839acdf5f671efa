import dataclasses

import numpy as np
import pytest

from benchmarks.example_corpora import songs
from separation import metrics, oracle
from separation.config import VARIANTS

CONFIG = dataclasses.replace(VARIANTS["tiny"], sample_rate=songs.RATE, num_channels=1, n_fft=512, hop_length=128)


@pytest.fixture
def track(rng):
    stems = np.stack([songs.voice(2.0, rng), songs.drums(2.0, rng) + songs.chord(2.0, rng)])[..., None]
    return stems.sum(axis=0), stems


def test_masks_made_with_the_truth_beat_doing_nothing(track):
    mixture, stems = track
    scores = {name: metrics.usdr(stems, oracle.estimate(name, CONFIG, mixture, stems)) for name in oracle.NAMES}
    np.testing.assert_allclose(scores[oracle.MIXTURE].sum(), 0, atol=1e-3)  # What helps one stem harms the other.
    for name in oracle.NAMES[1:]:
        assert (scores[name] > scores[oracle.MIXTURE] + 5).all(), name


def test_binary_masks_share_out_the_mixture(track):
    mixture, stems = track
    for name in oracle.NAMES[1:]:
        np.testing.assert_allclose(oracle.estimate(name, CONFIG, mixture, stems).sum(axis=0), mixture, atol=1e-3)


def test_what_is_not_asked_for_takes_its_share(track):
    mixture, stems = track
    for name in oracle.NAMES[1:]:
        both = oracle.estimate(name, CONFIG, mixture, stems)
        np.testing.assert_allclose(oracle.estimate(name, CONFIG, mixture, stems[:1])[0], both[0], atol=1e-3)


def test_a_song_of_one_sample():
    stems = np.full((2, 1, 1), 0.5, np.float32)
    assert oracle.estimate(oracle.BINARY, CONFIG, stems.sum(axis=0), stems).shape == (2, 1, 1)

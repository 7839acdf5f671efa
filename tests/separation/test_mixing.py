import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from common.data import excerpts
from common.data.track_bank import TrackBank
from separation import mixing
from separation.config import VARIANTS

CONFIG = dataclasses.replace(VARIANTS["tiny"], sample_rate=8000, num_channels=2, remix_probability=0.0)
PLAIN = {"min_gain": 1.0, "max_gain": 1.0, "swap_probability": 0.0, "flip_probability": 0.0}


@pytest.fixture
def bank(rng):
    """Two tracks of noise, one of them shorter than a window."""
    pcm = tuple(rng.integers(-9000, 9000, (length, 2, 2)).astype(np.int16) for length in (20000, 1000))
    return TrackBank(("vocals", "accompaniment"), ("long", "short"), ("long", "short"), pcm, 8000, pd.DataFrame())


def test_a_step_is_always_the_same_and_no_two_are(bank):
    first, again, other = (mixing.draw(CONFIG, bank, 8, 1984, (3, step)) for step in (5, 5, 6))
    np.testing.assert_array_equal(first.starts, again.starts)
    assert not np.array_equal(first.starts, other.starts)


def test_stems_are_of_one_song_or_of_several(bank):
    together = mixing.draw(CONFIG, bank, 200, 1984, (0, 0))
    assert (together.tracks[:, 0] == together.tracks[:, 1]).all()
    assert (together.starts[:, 0] == together.starts[:, 1]).all()
    # Every second is as likely, whosoever track it is in.
    assert 0.85 < (together.tracks[:, 0] == 0).mean() < 1
    mixed = mixing.draw(dataclasses.replace(CONFIG, remix_probability=0.5), bank, 400, 1984, (0, 0))
    assert 0.4 < (mixed.starts[:, 0] == mixed.starts[:, 1]).mean() < 0.6


def cuts_of(bank, config):
    places = mixing.draw(config, bank, 64, mixing.cut_samples(config), (0, 0))
    return tf.constant(excerpts.read(bank.pcm, places, mixing.cut_samples(config), [0, 1]))


def test_without_changes_stems_are_as_they_are(bank):
    config = dataclasses.replace(CONFIG, **PLAIN)
    excerpts = cuts_of(bank, config)
    np.testing.assert_array_equal(mixing.change(config, excerpts, [0, 1]), np.asarray(excerpts) / np.float32(2**15))


@pytest.mark.parametrize("name", ["gain", "swap", "flip"])
def test_each_stem_changes_for_itself(bank, name):
    changes = {
        "gain": {"min_gain": 0.25, "max_gain": 1.25},
        "swap": {"swap_probability": 0.5},
        "flip": {"flip_probability": 0.5},
    }[name]
    config = dataclasses.replace(CONFIG, **{**PLAIN, **changes})
    excerpts = cuts_of(bank, config)
    before, after = np.asarray(excerpts) / 2**15, mixing.change(config, excerpts, [0, 1]).numpy()
    changed_to = {"swap": before[..., ::-1], "flip": -before}
    if name == "gain":
        factors = (after * before).sum(axis=(2, 3)) / (before**2).sum(axis=(2, 3))
        np.testing.assert_allclose(after, factors[..., None, None] * before, atol=1e-6)
        assert 0.25 <= factors.min() < 0.4 and 1.1 < factors.max() <= 1.25
        assert np.abs(factors[:, 0] - factors[:, 1]).max() > 0.1
        return
    changed = np.isclose(after, changed_to[name], atol=1e-6).all(axis=(2, 3))
    same = np.isclose(after, before, atol=1e-6).all(axis=(2, 3))
    assert (changed | same).all() and 0.35 < changed.mean() < 0.65
    assert (changed[:, 0] != changed[:, 1]).any()


@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        ({"max_speed": 0.2}, 1 / 1.2, 1.2),
        ({"max_pitch_semitones": 2.0}, 2 ** (-2 / 12), 2 ** (2 / 12)),
        ({"max_tempo": 0.2}, 1.0, 1.0),
    ],
)
def test_speed_and_pitch_move_a_tone_and_tempo_does_not(changes, low, high):
    tone = np.sin(2 * np.pi * 1000 * np.arange(20000) / 8000) * 8000
    pcm = (np.repeat(tone[:, None, None], 2, axis=1).repeat(2, axis=2).astype(np.int16),)
    bank = TrackBank(("vocals", "accompaniment"), ("tone",), ("tone",), pcm, 8000, pd.DataFrame())
    # Long windows, for the phase vocoder's frames have to fit in.
    config = dataclasses.replace(CONFIG, num_frames=128, **PLAIN, **changes)
    stems = mixing.change(config, cuts_of(bank, config), [0, 1]).numpy()
    assert stems.shape == (64, 2, config.window_samples, 2)
    spectra = np.abs(np.fft.rfft(stems[..., 0] * np.hanning(config.window_samples), axis=2))
    ratios = spectra.argmax(axis=2) * 8000 / config.window_samples / 1000
    np.testing.assert_array_equal(ratios[:, 0], ratios[:, 1])
    assert low - 0.01 <= ratios.min() and ratios.max() <= high + 0.01
    if low < high:
        assert ratios.max() / ratios.min() > 0.8 * high / low
    # Cuts are long enough: no silence at the ends.
    ends = np.abs(stems[:, :, [slice(0, 64), slice(-64, None)][1]]).max(axis=(2, 3))
    assert ends.min() > 0.05

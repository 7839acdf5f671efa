"""Drums: their band, and what differs between hits."""

import pytest

from common.synthesis.music import drums
from tests.common.synthesis.music.sounds import RATES, assert_clean, assert_no_two_alike, draw, spectrum

DRUMS = {"kick": drums.kick, "snare": drums.snare, "hi_hat": drums.hi_hat, "tom": drums.tom, "crash": drums.crash}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", DRUMS)
def test_every_hit_is_clean_and_as_loud_as_its_velocity(name, rate):
    for velocity in (0.3, 1.0):
        assert_clean(draw(DRUMS[name], rate, velocity=velocity), velocity)


@pytest.mark.parametrize("name", DRUMS)
def test_no_two_hits_are_the_same_but_under_the_same_seed(name):
    assert_no_two_alike(DRUMS[name])


@pytest.mark.parametrize("rate", RATES)
def test_the_kit_reaches_from_low_to_high(rate):
    centers = {}
    for name, render in DRUMS.items():
        frequencies_hz, power = spectrum(draw(render, rate), rate)
        centers[name] = (frequencies_hz * power).sum() / power.sum()
    assert centers["kick"] < centers["tom"] < centers["snare"] < centers["crash"] < centers["hi_hat"]
    assert centers["kick"] < 200 and centers["hi_hat"] > 3500


def test_hats_are_open_for_longer():
    closed, opened = (draw(drums.hi_hat, 16000, decay_seconds=seconds) for seconds in (0.07, 0.4))
    assert len(opened) > 3 * len(closed)

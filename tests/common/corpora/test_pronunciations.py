"""Other pronunciations of a word."""

import pytest

from common.corpora import speech_synthesis
from common.corpora.pronunciations import pronunciations


@pytest.fixture(scope="module", autouse=True)
def wheel():
    pytest.importorskip("espeakng_loader", reason="needs the extra `speech`")


def test_one_vowel_moves_by_a_step_and_the_consonants_stay():
    ways = pronunciations("right", "en-us")
    assert {"[[r'A:It]]", "[[r'EIt]]"} <= set(ways)
    assert all(way.startswith("[[r'") and way.endswith("It]]") for way in ways)
    assert "[[l'aft]]" in pronunciations("left", "en-us")
    assert "[[l'u:ft]]" not in pronunciations("left", "en-us")


@pytest.mark.parametrize(
    ("word", "accent"), [("buenos días", "es"), ("нет", "ru"), ("nein", "de"), ("oui", "fr-fr"), ("はい", "ja")]
)
def test_every_language_has_some_that_sound_different_and_can_be_spoken(word, accent):
    ways = pronunciations(word, accent)
    sounds = {speech_synthesis.phonemes(way, accent) for way in ways}
    assert ways
    assert speech_synthesis.phonemes(word, accent) not in sounds
    assert len(sounds) == len(ways)
    waveform, sample_rate = speech_synthesis.synthesize(ways[0], accent)
    assert len(waveform) > 0.1 * sample_rate
    assert len(speech_synthesis.segments(ways[0], accent)) == len(word.split())


def test_none_sounds_like_another_keyword():
    assert "[[b'ad]]" in pronunciations("bed", "en-us")
    assert "[[b'ad]]" not in pronunciations("bed", "en-us", ["bad"])


def test_words_of_another_language_and_phoneme_code_stay_as_they_are():
    assert pronunciations("yes", "cmn") == []
    assert pronunciations("[[j'Es]]", "en-us") == []

"""Other pronunciations of a word."""

import numpy as np
import pytest

from common.synthesis.speech import espeak
from common.synthesis.speech.pronunciations import begins_with_voiced_plosive, drawl, ends_with_vowel, pronunciations


@pytest.fixture(scope="module", autouse=True)
def wheel():
    pytest.importorskip("espeakng_loader", reason="needs the extra `speech`")


def test_one_vowel_moves_by_a_step_and_the_consonants_stay():
    ways = pronunciations("nein", "de")
    assert "[[n'EIn]]" in ways
    assert all(way.startswith("[[n'") and way.endswith("n]]") for way in ways)
    assert "[[n'iIn]]" not in ways


@pytest.mark.parametrize(
    ("word", "accent"), [("buenos días", "es"), ("нет", "ru"), ("nein", "de"), ("oui", "fr-fr"), ("はい", "ja")]
)
def test_every_language_has_some_that_sound_different_and_can_be_spoken(word, accent):
    ways = pronunciations(word, accent)
    sounds = {espeak.phonemes(way, accent) for way in ways}
    assert ways
    assert espeak.phonemes(word, accent) not in sounds
    assert len(sounds) == len(ways)
    waveform, sample_rate = espeak.synthesize(ways[0], accent)
    assert len(waveform) > 0.1 * sample_rate
    assert len(espeak.segments(ways[0], accent)) == len(word.split())


def test_a_drawl_holds_what_can_be_held():
    said = {drawl("stop", "en-us", np.random.default_rng(seed)) for seed in range(9)}
    assert said == {"stop", "[[sst2'0p]]"}
    assert drawl("go", "en-us", np.random.default_rng(0)) == "go"
    assert drawl("[[n'aUn]]", "en-us", np.random.default_rng(5)) in (
        "[[n'aUn]]",
        "[[nn'aUn]]",
        "[[n'aUnn]]",
        "[[nn'aUnn]]",
    )
    assert drawl("yes", "cmn", np.random.default_rng(0)) == "yes"
    held, rate = espeak.synthesize("[[sst2'0p]]")
    assert len(held) > len(espeak.synthesize("stop")[0]) + 0.03 * rate


def test_voiced_plosives_are_known_by_their_sound():
    words = ("go", "down", "bed", "no", "stop", "cat", "gnome")
    assert [word for word in words if begins_with_voiced_plosive(word, "en-us")] == ["go", "down", "bed"]


def test_final_vowels_are_known_by_their_sound():
    assert [word for word in ("go", "on", "stop", "hello") if ends_with_vowel(word, "en-us")] == ["go", "hello"]


def test_english_vowels_move_as_its_accents_do():
    assert "[[n'@U]]" in pronunciations("no", "en-us")
    assert pronunciations("down", "en-us") == []
    assert "[[l'aft]]" in pronunciations("left", "en-gb")


def test_none_sounds_like_another_keyword():
    assert "[[b'ad]]" in pronunciations("bed", "en-us")
    assert "[[b'ad]]" not in pronunciations("bed", "en-us", ["bad"])


def test_words_of_another_language_and_phoneme_code_stay_as_they_are():
    assert pronunciations("yes", "cmn") == []
    assert pronunciations("[[j'Es]]", "en-us") == []

"""Words that sound nearly like given ones."""

import pytest

from common.synthesis.speech import espeak, near_words

KEYWORDS = {
    "en": ("yes", "no", "up", "left", "right", "stop", "go"),
    "es": ("hola", "adiós", "buenos días"),
    "ru": ("да", "нет"),
    "cmn": ("你好", "左"),
    "de": ("ja", "nein"),
    "ja": ("はい",),
}


@pytest.fixture(scope="module", autouse=True)
def wheel():
    pytest.importorskip("espeakng_loader", reason="needs the extra `speech`")


@pytest.mark.parametrize("language", KEYWORDS)
def test_they_can_be_spoken_and_never_sound_like_a_keyword_in_any_accent(language):
    accents = espeak.accents(language)
    found = near_words.near_words(KEYWORDS[language], accents, ["1", "2", "3"], 40)
    assert 10 <= len(found) == len(set(found)) <= 40
    for accent in accents:
        keywords = {espeak.phonemes(word, accent) for word in KEYWORDS[language]}
        assert keywords.isdisjoint(espeak.phonemes(text, accent) for text in found)
    for text in found[:5]:
        waveform, sample_rate = espeak.synthesize(text, accents[0])
        assert abs(waveform).max() > 0.05
        assert len(waveform) > 0.08 * sample_rate


def test_what_speakers_exchange_does_not_make_another_word():
    accents = espeak.accents("en")

    def alike(one, other):
        return bool(near_words.sound_keys(one, accents) & near_words.sound_keys(other, accents))

    assert alike("right", "write")
    assert alike("left", "[[l'Evd]]")
    assert alike("right", "[[r'aI]]")
    assert alike("up", "[[h'Vp]]")
    assert alike("stop", "[[st'A:p]]")
    assert not alike("right", "light")
    assert not alike("no", "go")


def test_every_kind_of_edit_is_made_and_no_final_stop_is_just_left_out():
    accents = espeak.accents("en-us")
    found = near_words.near_words(["left", "down"], accents, count=300)
    assert {"[[l'Eft]]", "[[l'Ef]]", "[[l'Evd]]", "[[d'aUn]]"}.isdisjoint(found)
    assert "[['Eft]]" in found  # left out
    assert "[[n'Eft]]" in found  # replaced
    assert "[[l'aUft]]" in found  # replaced
    assert {"[[ld'Eft]]", "[[lt'Eft]]"} & set(found)  # put in
    assert "[[l'En]]" in found  # joined
    assert "[[l'E]]" in found  # half


def test_the_same_words_give_the_same_near_words_spread_over_the_keywords():
    accents = espeak.accents("en")
    first = near_words.near_words(["stop", "go"], accents, count=10)
    assert first == near_words.near_words(["stop", "go"], accents, count=10)
    assert sum("p]]" in text or "st" in text for text in first) in range(3, 8)

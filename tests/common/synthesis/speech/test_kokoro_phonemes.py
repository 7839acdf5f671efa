import pytest

from common.synthesis.speech import kokoro_phonemes


def _symbols(tokens):
    return "".join({number: symbol for symbol, number in kokoro_phonemes.VOCABULARY.items()}[token] for token in tokens)


def test_the_vocabulary_is_that_of_the_network():
    # Numbers of its config.json, taken from all over the table.
    assert len(kokoro_phonemes.VOCABULARY) == 114
    known = {";": 1, " ": 16, "I": 25, "O": 31, "Y": 41, "a": 43, "h": 50, "ɑ": 69, "ç": 78, "ʤ": 82, "ɡ": 92, "ŋ": 112}
    known |= {"ɹ": 123, "ʃ": 131, "ʧ": 133, "ʌ": 138, "ʔ": 148, "ˈ": 156, "ː": 158, "↘": 173, "ᵻ": 177}
    assert {symbol: kokoro_phonemes.VOCABULARY[symbol] for symbol in known} == known


@pytest.mark.parametrize(
    ("accent", "transcription", "expected"),
    [
        ("en-us", "ɹˈaɪt", "ɹˈIt"),
        ("en-us", "stˈɑːp", "stˈɑp"),
        ("en-us", "nˈoʊ", "nˈO"),
        ("en-gb", "nˈəʊ", "nˈQ"),
        ("en-us", "kəmpjˈuːɾɚ", "kəmpjˈuTəɹ"),
        ("en-gb", "mˈɑːvɪn", "mˈɑːvɪn"),
        ("es", "mutʃˈo", "muʧˈo"),
        ("fr-fr", "ɡaʁsˈɔ̃", "ɡaʁsˈɔ̃"),
    ],
)
def test_diphthongs_and_affricates_are_one_symbol(accent, transcription, expected):
    assert _symbols(kokoro_phonemes.tokens(transcription, accent)) == expected


def test_the_ending_follows_and_what_is_unknown_is_left_out():
    assert _symbols(kokoro_phonemes.tokens("jˈɛs7", "en-us", "?")) == "jˈɛs?"
    assert kokoro_phonemes.tokens("777", "en-us", "?") == []

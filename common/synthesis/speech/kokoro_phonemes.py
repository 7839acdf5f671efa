"""Tokens of Kokoro-82M: from the transcription of espeak-ng to the numbers that the network takes.

The vocabulary is that of the `config.json` of Kokoro-82M v1.0 (Apache-2.0). It writes a diphthong or an affricate as one
symbol, as its transcriber misaki does, which the network was trained with.
"""

import unicodedata

# Symbols and their numbers; the numbers between are not used.
_RUNS = (
    (1, ";:,.!?"),
    (9, '—…"()“” \u0303ʣʥʦʨᵝ\uab67AI'),
    (31, "O"),
    (33, "Q"),
    (35, "ST"),
    (39, "W"),
    (41, "Yᵊabcdef"),
    (50, "hijklmnopqrstuvwxyzɑɐɒæ"),
    (75, "βɔɕç"),
    (80, "ɖðʤə"),
    (85, "ɚɛɜ"),
    (90, "ɟ"),
    (92, "ɡ"),
    (99, "ɥ"),
    (101, "ɨɪʝ"),
    (110, "ɯɰŋɳɲɴø"),
    (118, "ɸθœ"),
    (123, "ɹ"),
    (125, "ɾɻ"),
    (128, "ʁɽʂʃʈʧ"),
    (135, "ʊʋ"),
    (138, "ʌɣɤ"),
    (142, "χʎ"),
    (147, "ʒʔ"),
    (156, "ˈˌː"),
    (162, "ʰ"),
    (164, "ʲ"),
    (169, "↓"),
    (171, "→↗↘"),
    (177, "ᵻ"),
)
VOCABULARY = {symbol: first + place for first, symbols in _RUNS for place, symbol in enumerate(symbols)}

_ANY = (
    ("c\u0327", "ç"),
    ("ʔn\u0329", "tn"),
    ("n\u0329", "ᵊn"),
    ("l\u0329", "ᵊl"),
    ("dʒ", "ʤ"),
    ("tʃ", "ʧ"),
    ("eɪ", "A"),
    ("aɪ", "I"),
    ("aʊ", "W"),
    ("ɔɪ", "Y"),
)
_ENGLISH = (("r", "ɹ"), ("x", "k"), ("ç", "k"), ("ɬ", "l"), ("ɐ", "ə"), ("ʲ", ""))
_BY_ACCENT = {
    "en-us": (
        *_ANY,
        *_ENGLISH,
        ("oʊ", "O"),
        ("ɜːɹ", "ɜɹ"),
        ("ɜː", "ɜɹ"),
        ("ɚ", "əɹ"),
        ("ɾ", "T"),
        ("ʔ", "t"),
        ("ː", ""),
    ),
    "en-gb": (*_ANY, *_ENGLISH, ("əʊ", "Q"), ("oʊ", "Q"), ("eə", "ɛː")),
}


def tokens(transcription: str, accent: str, ending: str = "") -> list[int]:
    """Return the tokens of a text.

    Args:
        transcription: From `espeak.phonemes`.
        accent: The accent of the transcription, e.g. `en-us`.
        ending: A punctuation mark that determines the intonation; empty for none.

    Returns:
        Numbers of `VOCABULARY`; symbols that the network does not know are left out. Empty if nothing can be spoken.

    Example:
        >>> tokens("ɡˈoʊ", "en-us")
        [92, 156, 31]
    """
    text = unicodedata.normalize("NFD", transcription)
    for theirs, ours in _BY_ACCENT.get(accent, _ANY):
        text = text.replace(theirs, ours)
    found = [VOCABULARY[symbol] for symbol in text if symbol in VOCABULARY]
    return [*found, VOCABULARY[ending]] if found and ending else found

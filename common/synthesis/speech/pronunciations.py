"""Alternative pronunciations of a word: its vowels are shifted slightly, as they differ between regions and people.

The accents of espeak-ng differ in few vowels. None has, for example, the fronted /oʊ/ of most Americans: its "no" is
closer to their "down" than to their "no". For English, a short table lists vowel variants; for other languages, vowels
are replaced by their neighbours on the chart of the International Phonetic Alphabet (IPA, 2015).
"""

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np

from common.synthesis.speech import espeak

# Height from 0 (close) to 6 (open) and backness from 0 (front) to 4 (back).
_CHART = {
    **{"i": (0, 0), "y": (0, 0), "ɨ": (0, 2), "ʉ": (0, 2), "ɯ": (0, 4), "u": (0, 4), "ɪ": (1, 1), "ʏ": (1, 1)},
    **{"ʊ": (1, 3), "e": (2, 0), "ø": (2, 0), "ɘ": (2, 2), "ɵ": (2, 2), "ɤ": (2, 4), "o": (2, 4), "ə": (3, 2)},
    **{"ɛ": (4, 0), "œ": (4, 0), "ɜ": (4, 2), "ɞ": (4, 2), "ʌ": (4, 4), "ɔ": (4, 4), "æ": (5, 0), "ɐ": (5, 2)},
    **{"a": (6, 1), "ɑ": (6, 3.5), "ɒ": (6, 4)},
}
_STEP = 2.3
# The codes of espeak-ng for the vowels of the chart; each language supports some of them.
_CODES = (
    "i",
    "y",
    "I",
    "Y",
    "U",
    "u",
    "e",
    "o",
    "@",
    "3",
    "E",
    "W",
    "V",
    "O",
    "a",
    "a#",
    "&",
    "A",
    "A:",
    "0",
    "i:",
    "u:",
    "3:",
)
_STRESSES = "',%="
# English vowels by accent (Wells, "Accents of English", 1982; for the fronted and opened /oʊ/ of most Americans: Labov,
# Ash and Boberg, "The Atlas of North American English", 2006).
_ENGLISH = {
    "oU": ("@U", "@u", "VU", "EU", "a#U"),
    "V": ("@", "3", "a#"),
    "0": ("A:", "O:", "a#"),
    "aI": ("A:I", "VI"),
    "E": ("a", "e"),
}
_VOICED_PLOSIVES = ("b", "d", "ɖ", "ɟ", "ɡ", "ɢ")
# The codes of espeak-ng for fricatives, nasals and the lateral, the same in all languages.
_CONTINUANTS = ("s", "z", "f", "v", "S", "Z", "T", "D", "C", "x", "m", "n", "N", "l")


def pronunciations(word: str, accent: str, others: Sequence[str] = ()) -> list[str]:
    """List alternative pronunciations of a word.

    Args:
        word: A word or a phrase, in the script of the language.
        accent: One of `espeak.accents(language)`.
        others: Other words; no pronunciation may sound like one of them.

    Returns:
        Texts in phoneme code for `espeak.synthesize`, in a fixed order. Empty if espeak-ng switches to the voice of
        another language, or if the word is already in phoneme code.

    Example:
        >>> "[[n'@U]]" in pronunciations("no", "en-us")
        True
    """
    if "[[" in word:
        return []
    parts = espeak.segments(word, accent)
    if any("(" in phoneme for part in parts for phoneme in part):
        return []
    found = {}
    for number, part in enumerate(parts):
        for position, phoneme in enumerate(part):
            for other in _moved(phoneme, accent):
                changed = [*parts[:number], [*part[:position], other, *part[position + 1 :]], *parts[number + 1 :]]
                found["[[" + " ".join("".join(part) for part in changed) + "]]"] = None
    taken = {_ipa(other, accent) for other in others if other != word}
    # Some vowels insert an r before another vowel.
    consonants = _consonants(_ipa(word, accent))
    sounds = {text: _ipa(text, accent) for text in found}
    return [
        text
        for text, ipa in sounds.items()
        if ipa not in taken and (accent.startswith("en") or _consonants(ipa) == consonants)
    ]


def drawl(word: str, accent: str, rng: np.random.Generator) -> str:
    """Lengthen random fricatives, nasals and laterals, which espeak-ng speaks short relative to its vowels.

    Args:
        word: A word or a phrase, or phoneme code in `[[` and `]]`.
        accent: One of `espeak.accents(language)`.
        rng: Random generator; each consonant is chosen with probability 0.5.

    Returns:
        Phoneme code; the unchanged word if no consonant is chosen or espeak-ng switches to the voice of another
        language.
    """
    parts = espeak.segments(word, accent)
    if any("(" in phoneme for part in parts for phoneme in part):
        return word
    held = [
        [2 * phoneme if phoneme in _CONTINUANTS and rng.random() < 0.5 else phoneme for phoneme in part]
        for part in parts
    ]
    return word if held == parts else "[[" + " ".join("".join(part) for part in held) + "]]"


def begins_with_voiced_plosive(text: str, accent: str) -> bool:
    """Whether a word or phoneme code begins with a sound like b, d or g.

    Example:
        >>> begins_with_voiced_plosive("go", "en-us"), begins_with_voiced_plosive("no", "en-us")
        (True, False)
    """
    return _ipa(text, accent)[:1] in _VOICED_PLOSIVES


def ends_with_vowel(text: str, accent: str) -> bool:
    """Whether the last sound of a word or of phoneme code is a vowel.

    Example:
        >>> ends_with_vowel("go", "en-us"), ends_with_vowel("on", "en-us")
        (True, False)
    """
    return _ipa(text, accent)[-1:] in _CHART


def _moved(phoneme: str, accent: str) -> list[str]:
    """Replace a vowel, or the first part of a diphthong, by each nearby vowel; empty for consonants."""
    code = phoneme.lstrip(_STRESSES)
    stress = phoneme[: len(phoneme) - len(code)]
    if accent.startswith("en"):
        return [stress + other for other in _ENGLISH.get(code, ())]
    first, *rest = _vowel_ipa(code, accent) or " "
    vowels = _vowels(accent)
    if first not in _CHART or any(part not in vowels for part in rest):
        return []
    near = [vowel for vowel in vowels if 0 < _distance(first, vowel) <= _STEP]
    return [stress + vowels[vowel] + "".join(vowels[part] for part in rest) for vowel in near]


def _distance(one: str, other: str) -> float:
    (height, backness), (other_height, other_backness) = _CHART[one], _CHART[other]
    return ((height - other_height) ** 2 + (backness - other_backness) ** 2) ** 0.5


@functools.cache
def _vowels(accent: str) -> dict[str, str]:
    """Return the codes of the vowels of the chart that the accent supports."""
    spoken = {_vowel_ipa(code, accent): code for code in reversed(_CODES)}
    return {vowel: spoken[vowel] for vowel in _CHART if vowel in spoken}


def _vowel_ipa(code: str, accent: str) -> str:
    """Transcribe a vowel between two consonants, since some vowels change at the end of a word."""
    return _ipa(f"[[k'{code}t]]", accent).removeprefix("k").removesuffix("t")


def _consonants(ipa: str) -> str:
    return "".join(letter for letter in ipa if letter not in _CHART)


def _ipa(text: str, accent: str) -> str:
    """Transcribe without stress, length, tone and diacritics."""
    ipa = unicodedata.normalize("NFD", espeak.phonemes(text, accent))
    return "".join(letter for letter in ipa if letter.isalpha() and letter not in "ˈˌː")

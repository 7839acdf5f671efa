"""Words that sound nearly like given ones, made from their phonemes: what a keyword spotter has to turn down.

A near word is a keyword with one phoneme replaced, left out or put in, one half of it, or the beginning of one keyword
with the end of another. It is written in espeak-ng's phoneme code, `[[b'Ed]]`, and can be spoken in any language.

None of them may pass for a keyword. Sounds that speakers or accents exchange (voiced and voiceless consonants, the vowels
of one region of the mouth, a dropped h, a final stop that is not released) therefore do not make a difference.
"""

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from common.synthesis.speech import espeak

_IPA_VOWELS = set("iyɨʉɯuɪʏʊeøɘɵɤoəɛœɜɞʌɔæɐaɶɑɒᵻɚɝ")
# What counts as the same sound, each group by its first.
_ALIKE = ("pb", "tdɾʈɖ", "kɡqɢ", "fv", "szʂʐ", "θð", "ʃʒɕʑ", "nŋɲɳ", "rɹʁɻɽ", "jʝ", "xχɣ")
_ALIKE_VOWELS = ("iɪyʏɨᵻ", "eɛøœæɘɵɞ", "aɑɐʌɒɔɜəɚɝɶ", "oʊuʉɯɤ")
_MERGED = {ord(sound): group[0] for group in _ALIKE + _ALIKE_VOWELS for sound in group[1:]}

_Word = tuple[str, ...]


def near_words(words: Sequence[str], accents: Sequence[str], others: Sequence[str] = (), count: int = 200) -> list[str]:
    """Make words that sound nearly like some words, and in no accent like any of them or of `others`.

    Args:
        words: The keywords, in the language's own script.
        accents: The accents they are spoken in (`speech_synthesis.accents`), the usual one first.
        others: More words of the language, to take phonemes from.
        count: How many to return at most, spread evenly over the keywords.

    Returns:
        Texts in phoneme code to give to `speech_synthesis.synthesize`, always the same for the same words. There are
        none if the language speaks the keywords by the voice of another one.

    Example:
        >>> all(text.startswith("[[") for text in near_words(["left", "right"], ["en-gb"], count=4))
        True
    """
    spoken = [_phonemes_of(word, accents[0]) for word in words]
    spoken = [phonemes for phonemes in spoken if phonemes]
    inventory = sorted(
        {
            _unstressed(phoneme)
            for phonemes in (*spoken, *(_phonemes_of(o, accents[0]) for o in others))
            for phoneme in phonemes
        }
    )
    vowels = [phoneme for phoneme in inventory if _is_vowel(phoneme, accents[0])]
    consonants = [phoneme for phoneme in inventory if phoneme not in vowels]
    streams = (_in_turn(_edits(phonemes, spoken, vowels, consonants)) for phonemes in spoken)
    texts = [f"[[{''.join(word)}]]" for word in itertools.islice(_in_turn(streams), 4 * count)]
    taken = set().union(*_all_sound_keys([*words, *others], accents))
    found = []
    for text, keys in zip(texts, _all_sound_keys(texts, accents), strict=True):
        if "" not in keys and not keys & taken:
            taken |= keys
            found.append(text)
    return found[:count]


def sound_keys(text: str, accents: Sequence[str]) -> set[str]:
    """Return how a text sounds in each accent, without what speakers exchange; equal keys mean words to confuse."""
    return _all_sound_keys([text], accents)[0]


def _all_sound_keys(texts: list[str], accents: Sequence[str]) -> list[set[str]]:
    # Accent by accent, because espeak-ng loads a dictionary whenever it changes.
    columns = [[_key(espeak.phonemes(text, accent)) for text in texts] for accent in accents]
    return [set(keys) for keys in zip(*columns, strict=True)]


def _in_turn(streams: Iterable[Iterable[_Word]]) -> Iterator[_Word]:
    """Take one of each stream in turn until all are empty."""
    for words in itertools.zip_longest(*streams):
        yield from (word for word in words if word is not None)


def _edits(phonemes: _Word, keywords: list[_Word], vowels: list[str], consonants: list[str]) -> list[list[_Word]]:
    """Change a word in every way, kind by kind: replaced, left out, put in, cut and joined; each needs a vowel."""
    is_vowel = [_unstressed(phoneme) in vowels for phoneme in phonemes]
    replaced, left_out, put_in = [], [], []
    for position, phoneme in enumerate(phonemes):
        before, after = phonemes[:position], phonemes[position + 1 :]
        stress = phoneme[: len(phoneme) - len(_unstressed(phoneme))]
        for other in vowels if is_vowel[position] else consonants:
            if other != _unstressed(phoneme):
                replaced.append((*before, stress + other, *after))
        left_out.append(before + after)
        if is_vowel[position]:
            # A consonant is put in beside a vowel only, where it can be spoken.
            for consonant in consonants:
                put_in += [(*before, consonant, phoneme, *after), (*before, phoneme, consonant, *after)]
    middle = (len(phonemes) + 1) // 2
    halves = [phonemes[:middle], phonemes[middle:]] if len(phonemes) > 2 else []
    joined = [phonemes[:middle] + other[(len(other) + 1) // 2 :] for other in keywords if other != phonemes]
    kinds = [replaced, left_out, put_in, halves + joined]
    with_vowel = [[word for word in kind if any(_unstressed(phoneme) in vowels for phoneme in word)] for kind in kinds]
    return [sorted(set(kind), key=_digest) for kind in with_vowel]


def _phonemes_of(word: str, accent: str) -> _Word:
    """Transcribe a word; empty if the accent lends it to the voice of another language."""
    phonemes = tuple(phoneme for part in espeak.segments(word, accent) for phoneme in part)
    return () if any("(" in phoneme for phoneme in phonemes) else phonemes


def _unstressed(phoneme: str) -> str:
    return phoneme.lstrip("',%=")


def _is_vowel(phoneme: str, accent: str) -> bool:
    return not _IPA_VOWELS.isdisjoint(unicodedata.normalize("NFD", espeak.phonemes(f"[[{phoneme}]]", accent)))


def _key(ipa: str) -> str:
    letters = [letter for letter in unicodedata.normalize("NFD", ipa) if letter.isalpha() and letter not in "hɦʔˈˌːʲʰʷ"]
    merged = re.sub(r"(.)\1+", r"\1", "".join(letters).translate(_MERGED))
    return re.sub(r"(?<=.)[ptk]$", "", merged)


def _digest(word: _Word) -> bytes:
    return hashlib.sha256("".join(word).encode()).digest()

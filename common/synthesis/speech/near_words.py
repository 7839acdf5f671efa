"""Near words: words that sound similar to the keywords, which a keyword spotter must reject.

A near word is a keyword with one phoneme replaced, removed or inserted, one half of a keyword, or the start of one
keyword with the end of another. It is written in the phoneme code of espeak-ng, `[[b'Ed]]`, in any language.

A near word must not be mistaken for a keyword. Sounds that speakers or accents interchange are therefore treated as
equal: voiced and voiceless consonants, neighbouring vowels, a dropped h, an unreleased final stop.
"""

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from common.synthesis.speech import espeak

_IPA_VOWELS = set("iyɨʉɯuɪʏʊeøɘɵɤoəɛœɜɞʌɔæɐaɶɑɒᵻɚɝ")
# Groups of sounds that are treated as equal; the first sound represents the group.
_ALIKE = ("pb", "tdɾʈɖ", "kɡqɢ", "fv", "szʂʐ", "θð", "ʃʒɕʑ", "nŋɲɳ", "rɹʁɻɽ", "jʝ", "xχɣ")
_ALIKE_VOWELS = ("iɪyʏɨᵻ", "eɛøœæɘɵɞ", "aɑɐʌɒɔɜəɚɝɶ", "oʊuʉɯɤ")
_MERGED = {ord(sound): group[0] for group in _ALIKE + _ALIKE_VOWELS for sound in group[1:]}

_Word = tuple[str, ...]


def near_words(words: Sequence[str], accents: Sequence[str], others: Sequence[str] = (), count: int = 200) -> list[str]:
    """Generate words that sound similar to `words` but in no accent equal to any of `words` or `others`.

    Args:
        words: The keywords, in the script of the language.
        accents: The accents in use (`espeak.accents`), the usual one first.
        others: More words of the language, as a source of phonemes.
        count: Largest number of words to return, evenly distributed over the keywords.

    Returns:
        Texts in phoneme code for `espeak.synthesize`; deterministic. Empty if espeak-ng speaks the keywords with the
        voice of another language.

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
    """Return a key of the sound of a text in each accent; texts with equal keys are easily confused."""
    return _all_sound_keys([text], accents)[0]


def _all_sound_keys(texts: list[str], accents: Sequence[str]) -> list[set[str]]:
    # Accent by accent, because espeak-ng loads a dictionary whenever the accent changes.
    columns = [[_key(espeak.phonemes(text, accent)) for text in texts] for accent in accents]
    return [set(keys) for keys in zip(*columns, strict=True)]


def _in_turn(streams: Iterable[Iterable[_Word]]) -> Iterator[_Word]:
    """Take one item of each stream in turn until all are empty."""
    for words in itertools.zip_longest(*streams):
        yield from (word for word in words if word is not None)


def _edits(phonemes: _Word, keywords: list[_Word], vowels: list[str], consonants: list[str]) -> list[list[_Word]]:
    """Return all edits of a word with at least one vowel, by kind: replaced, removed, inserted, cut and joined."""
    is_vowel = [_unstressed(phoneme) in vowels for phoneme in phonemes]
    replaced, removed, inserted = [], [], []
    for position, phoneme in enumerate(phonemes):
        before, after = phonemes[:position], phonemes[position + 1 :]
        stress = phoneme[: len(phoneme) - len(_unstressed(phoneme))]
        for other in vowels if is_vowel[position] else consonants:
            if other != _unstressed(phoneme):
                replaced.append((*before, stress + other, *after))
        removed.append(before + after)
        if is_vowel[position]:
            # Consonants are inserted next to vowels only, where they are pronounceable.
            for consonant in consonants:
                inserted += [(*before, consonant, phoneme, *after), (*before, phoneme, consonant, *after)]
    middle = (len(phonemes) + 1) // 2
    halves = [phonemes[:middle], phonemes[middle:]] if len(phonemes) > 2 else []
    joined = [phonemes[:middle] + other[(len(other) + 1) // 2 :] for other in keywords if other != phonemes]
    kinds = [replaced, removed, inserted, halves + joined]
    with_vowel = [[word for word in kind if any(_unstressed(phoneme) in vowels for phoneme in word)] for kind in kinds]
    return [sorted(set(kind), key=_digest) for kind in with_vowel]


def _phonemes_of(word: str, accent: str) -> _Word:
    """Transcribe a word; empty if espeak-ng switches to the voice of another language."""
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

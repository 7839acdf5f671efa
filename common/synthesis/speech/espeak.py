"""Text to speech: a thin wrapper of espeak-ng, installed by the wheel `espeakng-loader` (extra `speech`).

espeak-ng has global state, so a process speaks one text at a time. Accents (`en-us`, `es-419`, ...) determine the
pronunciation, variants (`f3`, `klatt2`, ...) the voice; they can be combined freely.
"""

import ctypes
import functools
import html
import itertools
import re
import threading
import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import audio
from common.errors import UserError, install_hint, nearest

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARACTERS_UTF8, _MARKUP, _PHONEMES = 0x01, 0x10, 0x100
_PARAMETER_RATE, _PARAMETER_PITCH, _PARAMETER_RANGE = 1, 3, 4
_SLOWEST_WPM, _FASTEST_WPM = 80, 450
_SCRIPT = re.compile(r"-[a-z]{4}(-|$)")
_SYLLABIC_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "YI")
_LONGEST_SYLLABLE = 8
_SEPARATOR = "\x1f"
EMPHASES = ("", "reduced", "moderate", "strong")
_ONE_SPEAKER = threading.RLock()
_loaded_voice = ("", "")


class _Voice(ctypes.Structure):
    """`espeak_VOICE` of espeak-ng's `speak_lib.h`."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_SynthesisCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def accents(language: str) -> list[str]:
    """List the accents of a language.

    Accents in an unusual script, such as Shavian English, are left out, unless there is no other or the language was
    given by exactly this tag.

    Args:
        language: A BCP 47 tag such as `en`, `es` or `en-gb`; upper or lower case.

    Returns:
        Tags for `synthesize`, the usual accent of the language first; at least one.

    Raises:
        UserError: espeak-ng is not installed.
        UserError: espeak-ng does not support the language.

    Example:
        >>> accents("es")
        ['es', 'es-419']
    """
    wanted = language.strip().lower()
    last = max(max(voice.tags.values()) for voice in _voices()) + 1
    found = [
        (voice.tags.get(wanted, last), voice.accent)
        for voice in _voices()
        if f"{voice.accent}-".startswith(f"{wanted}-")
    ]
    if not found:
        # Some languages are only a secondary tag of a voice: "zh" belongs to Mandarin first, then to Cantonese.
        second = [(voice.tags[wanted], voice.accent) for voice in _voices() if wanted in voice.tags]
        found = [pair for pair in second if pair[0] == min(second)[0]]
    if found:
        ordered = [accent for _, accent in sorted(found)]
        return [accent for accent in ordered if not _SCRIPT.search(accent)] or ordered
    codes = sorted({tag for voice in _voices() for tag in voice.tags})
    names = {}
    for voice in _voices():
        names.setdefault(voice.name.split(" (")[0].lower(), min(voice.tags, key=len))
    hint = f' Did you mean "{names[wanted]}"?' if wanted in names else nearest(wanted, codes)
    raise UserError(
        f'espeak-ng does not support "{language}"; expected a language code such as de, en, es or en-gb.{hint}'
    )


@functools.cache
def variants() -> list[str]:
    """List the voice variants of espeak-ng in alphabetical order."""
    folder = Path(_load_wheel().get_data_path()) / "voices" / "!v"
    return sorted(path.name for path in folder.iterdir())


@functools.cache
def version() -> str:
    """Return the version of espeak-ng, for example `1.52.0`."""
    _library().espeak_Info.restype = ctypes.c_char_p
    return _library().espeak_Info(None).decode().split()[0]


def synthesize(
    text: str,
    accent: str = "en-us",
    variant: str = "",
    rate_wpm: int = 175,
    pitch: int = 50,
    pitch_range: int = 50,
    emphasis: str = "",
) -> tuple[np.ndarray, int]:
    """Speak a text.

    Args:
        text: A word or a sentence in the script of the language. Text in `[[` and `]]` is the phoneme code of espeak-ng
            (see `segments`).
        accent: One of `accents(language)`.
        variant: One of `variants()`; empty for the default voice of the accent.
        rate_wpm: Words per minute, 80 to 450.
        pitch: 0 (low) to 99 (high), relative to the variant.
        pitch_range: 0 (monotone) to 99 (lively).
        emphasis: One of `EMPHASES`: the SSML emphasis of the text. It must be empty for phoneme code.

    Returns:
        The waveform, float32 in [-1, 1], shape `(samples,)`, including the short pauses that espeak-ng adds, and its
        sample rate in Hz. It is empty or silent if the accent has no sounds for the text.

    Raises:
        UserError: espeak-ng is not installed.
        ValueError: A number is out of range, or the accent or variant is unknown.

    Example:
        >>> waveform, sample_rate = synthesize("hello", accent="en-gb-scotland", variant="f3")
        >>> sample_rate
        22050
    """
    if not _SLOWEST_WPM <= rate_wpm <= _FASTEST_WPM or not 0 <= pitch <= 99 or not 0 <= pitch_range <= 99:
        raise ValueError(
            f"expected rate_wpm {_SLOWEST_WPM} to {_FASTEST_WPM}, pitch and pitch_range 0 to 99;"
            f" received {rate_wpm}, {pitch}, {pitch_range}"
        )
    if emphasis not in EMPHASES or (emphasis and "[[" in text):
        raise ValueError(f'expected one of {EMPHASES}, and none for phoneme code; received "{emphasis}" for "{text}"')
    flags = _CHARACTERS_UTF8 | _PHONEMES
    if emphasis:
        text = f'<speak><emphasis level="{emphasis}">{html.escape(text)}</emphasis></speak>'
        flags |= _MARKUP
    library = _library()
    blocks = []

    def collect(samples, num_samples, events):
        if samples and num_samples > 0:
            blocks.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        return 0

    callback = _SynthesisCallback(collect)
    encoded = text.encode("utf-8") + b"\0"
    with _ONE_SPEAKER:
        _set_voice(accent, variant)
        library.espeak_SetParameter(_PARAMETER_RATE, rate_wpm, 0)
        library.espeak_SetParameter(_PARAMETER_PITCH, pitch, 0)
        library.espeak_SetParameter(_PARAMETER_RANGE, pitch_range, 0)
        library.espeak_SetSynthCallback(callback)
        library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded)), 0, 0, 0, flags, None, None)
        library.espeak_Synchronize()
    samples = np.concatenate(blocks) if blocks else np.empty(0, np.int16)
    return audio.from_pcm16(samples), _sample_rate()


def phonemes(text: str, accent: str) -> str:
    """Transcribe the pronunciation of a text into the International Phonetic Alphabet.

    Args:
        text: A word or a sentence, or phoneme code in `[[` and `]]`.
        accent: One of `accents(language)`.

    Returns:
        The transcription, with stress marks; clauses are joined by a space.

    Example:
        >>> phonemes("right", "en-us") == phonemes("write", "en-us")
        True
    """
    return _transcribe(text, accent, 0x02)


def segments(text: str, accent: str) -> list[list[str]]:
    """Transcribe a text into the phoneme code of espeak-ng, to modify and speak it.

    Args:
        text: A word or a sentence in the script of the language.
        accent: One of `accents(language)`.

    Returns:
        The phonemes of every word, with stress marks before the vowels. For `synthesize` and `phonemes`, join the
        phonemes of each word, join the words by spaces, and enclose the result in `[[` and `]]`.

    Example:
        >>> segments("stop it", "en-gb")
        [['s', 't', "'0", 'p'], ['I', 't']]
    """
    code = _transcribe(text, accent, ord(_SEPARATOR) << 8).replace("_|", "")
    words = [[part for part in word.split(_SEPARATOR) if part] for word in code.split(" ")]
    for word in words:
        # A palatalisation mark belongs to the previous consonant.
        for position in reversed(range(1, len(word))):
            if word[position] == ";":
                word[position - 1 : position + 1] = [f"{word[position - 1]};"]
    return [word for word in words if word]


def _transcribe(text: str, accent: str, mode: int) -> str:
    library = _library()
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    buffer = ctypes.create_string_buffer(text.encode("utf-8"))
    position = ctypes.c_void_p(ctypes.addressof(buffer))
    clauses = []
    with _ONE_SPEAKER:
        # Loading a dictionary takes up to 0.1 s.
        if _loaded_voice != (accent, ""):
            _set_voice(accent, "")
        while position.value:
            clauses.append(
                library.espeak_TextToPhonemes(ctypes.byref(position), _CHARACTERS_UTF8, mode).decode("utf-8")
            )
    return " ".join(clause.strip() for clause in clauses if clause.strip())


def is_spelled_out(word: str, accent: str) -> bool:
    """Whether an accent spells a word letter by letter instead of speaking it, like English with Cyrillic.

    Args:
        word: A word without spaces.
        accent: One of `accents(language)`.

    Example:
        >>> is_spelled_out("yes", "en-us"), is_spelled_out("да", "en-us")
        (False, True)
    """
    letters = [letter for letter in word if letter.isalnum()]
    if any(unicodedata.name(letter, "").startswith(_SYLLABIC_SCRIPTS) for letter in letters):
        # Such a character is spoken by its sound, unless the accent does not support it: "Chinese letter".
        return any(len(_sounds(letter, accent)) > _LONGEST_SYLLABLE for letter in letters)
    # If letter names equal the sounds of the letters, spelling sounds like the word, but every letter has its own
    # stress.
    num_stresses = sum(phonemes(word, accent).count(mark) for mark in "ˈˌ")
    return 1 < len(letters) <= num_stresses and _sounds(word, accent) == _sounds(" ".join(letters), accent)


def _sounds(text: str, accent: str) -> str:
    """Transcribe without stress, length, tone and language marks, and without spaces."""
    return "".join(filter(str.isalpha, re.sub(r"\([a-z-]+\)|[ˈˌː]", "", phonemes(text, accent))))


def _set_voice(accent: str, variant: str) -> None:
    # espeak-ng silently replaces an unknown variant by the default voice. Voices are selected by file name, because
    # variants do not work with a voice selected by language.
    files = {voice.accent: voice.identifier for voice in _voices()}
    if accent not in files or (variant and variant not in variants()):
        raise ValueError(f'espeak-ng has no accent "{accent}" or no variant "{variant}"')
    name = f"{files[accent]}+{variant}" if variant else files[accent]
    if _library().espeak_SetVoiceByName(name.encode()) != 0:
        raise ValueError(f'espeak-ng cannot load the voice "{name}"')
    global _loaded_voice
    _loaded_voice = (accent, variant)


class _Accent(NamedTuple):
    """A voice of espeak-ng; `tags` maps language tags to priorities (low is preferred), the accent first."""

    name: str
    identifier: str
    tags: dict[str, int]

    @property
    def accent(self) -> str:
        return next(iter(self.tags))


@functools.cache
def _voices() -> list[_Accent]:
    library = _library()
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    found = library.espeak_ListVoices(None)
    voices = {}
    for voice in itertools.takewhile(bool, (found[i] for i in itertools.count())):
        fields = voice.contents
        listed = _Accent(fields.name.decode(), fields.identifier.decode(), _read_tags(fields.languages))
        voices.setdefault(listed.accent, listed)
    return list(voices.values())


def _read_tags(address: int) -> dict[str, int]:
    """Read a list of language tags: priority byte, zero-terminated tag, and so on, until a priority of zero."""
    tags = {}
    while priority := ctypes.c_ubyte.from_address(address).value:
        tag = ctypes.string_at(address + 1)
        tags[tag.decode().lower()] = priority
        address += len(tag) + 2
    return tags


def _load_wheel():
    try:
        import espeakng_loader
    except ImportError as error:
        raise UserError(
            f"synthetic speech needs espeak-ng, which is not installed; {install_hint('speech')}"
        ) from error
    return espeakng_loader


@functools.cache
def _start() -> tuple[ctypes.CDLL, int]:
    wheel = _load_wheel()
    try:
        library = ctypes.CDLL(wheel.get_library_path())
    except OSError as error:
        raise UserError(
            f"espeak-ng is installed but cannot be loaded ({error}); reinstall it with:"
            " pip install --force-reinstall espeakng-loader"
        ) from error
    data_path = str(wheel.get_data_path())
    rate = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path.encode(), _INITIALIZE_DONT_EXIT)
    if rate <= 0:
        raise UserError(
            f"espeak-ng cannot read its data in {data_path}; reinstall espeakng-loader in a folder with a shorter path"
        )
    # By default, espeak-ng seeds its noise by the clock; a fixed seed makes runs reproducible.
    library.espeak_ng_SetRandSeed(ctypes.c_long(0))
    # espeak-ng keeps the phoneme code flag of the last spoken text, also for transcriptions; set it here.
    library.espeak_Synth(b" \0", ctypes.c_size_t(2), 0, 0, 0, _CHARACTERS_UTF8 | _PHONEMES, None, None)
    return library, rate


def _library() -> ctypes.CDLL:
    return _start()[0]


def _sample_rate() -> int:
    return _start()[1]

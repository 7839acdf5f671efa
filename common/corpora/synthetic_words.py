"""Spoken words made on the spot by espeak-ng: any list of words, in any language it speaks, without a download.

Every clip has its own accent, pronunciation, voice, rate, pitch, melody, emphasis, rhythm, vocal tract, breath,
microphone, room, level and background noise, all drawn from a seed (`pronunciations` and `speech_effects` beside this
module). A speaker is an accent with a voice variant, written as `en-gb-scotland+f3`. The splits divide the *variants*:
no voice of the test split is heard in training under any accent, and variants that derive from one another stay
together in training.

The folder has the layout of Speech Commands, `<root>/<settings>/<word>/<speaker>_nohash_<n>.wav`, 16 kHz, 16 bits,
mono. A clip depends on its language, seed, word, split, number and pronunciation alone, so clips that are there are
used again: a run that was killed goes on where it was, and a longer word list or more clips a word only add files.
espeak-ng's own flutter carries over from one clip to the next, so clips made in another order can differ by a few
inaudible samples.
"""

import hashlib
import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from common import audio, files, progress
from common.corpora import manifest, parallel
from common.errors import UserError
from common.synthesis.speech import effects, espeak, near_words
from common.synthesis.speech.pronunciations import begins_with_voiced_plosive, drawl, ends_with_vowel, pronunciations

FOLDER = "data/synthetic"
SAMPLE_RATE = 16000
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = "_unknown_", "_silence_"

# Variants by split and sex. Of espeak-ng's 104 those are left out that nobody would take for a person (whispers,
# robots, echoes, heavy distortion, no stable pitch) or whose sex is unclear. The held-out ones derive from no other.
VARIANTS = {
    "test": {"F": "aunty Andrea Alicia", "M": "m7 paul david boris michel m3"},
    "validation": {"F": "f1 Annie f4", "M": "norbert sandro m4 pablo m2 kaukovalta"},
    "train": {
        "F": "f2 f3 f5 grandma anika belinda linda steph steph2 steph3",
        "M": "m1 m5 m6 m8 adam benjamin edward edward2 Reed klatt3 klatt4 klatt5 klatt6 Gene Gene2 Mike mike2 iven2"
        " iven3 iven4 robert antonio Storm Denis Diogo Henrique Hugo miguel Mario Marco Michael Andy Lee Alex Tweaky"
        " marcelo gustave quincy travis john victor max ed ian pedro",
    },
}

_UNKNOWN_ENGLISH = (
    "zero one two three four five six seven eight nine bed bird cat dog happy house tree wow backward forward follow"
    " learn visual water music window table paper summer winter morning people country mother father sister school"
    " kitchen garden yellow orange purple coffee sugar answer question number letter open close begin light dark hello"
    " thanks maybe never always other small large quick street river"
)
_UNKNOWN_NUMBERS = [str(number) for number in range(61)]

_FORMAT_VERSION = 3
_CLIP_SECONDS, _MARGIN_SECONDS, _SHORTEST_WORD_SECONDS = 1.0, 0.1, 0.04
_HELD_OUT_SHARE = 0.1
_NUM_NEAR_WORDS = 200
_OTHER_PRONUNCIATIONS = 0.6
_MANY_CLIPS = 1000


class _Clip(NamedTuple):
    """One recording to be: which word (empty for silence), how it is said, for which class, where."""

    path: Path
    word: str
    spoken: str
    label: str
    split: str
    accent: str
    variant: str
    sex: str
    seed: int

    @property
    def speaker(self) -> str:
        return f"{self.accent}+{self.variant}" if self.word else ""


def index(
    root: str | Path,
    words: Sequence[str] = WORDS,
    language: str = "en",
    num_clips_per_word: int = 300,
    seed: int = 0,
    unknown: bool = False,
    silence: bool = False,
) -> pd.DataFrame:
    """Make the clips that are not there yet, and list all of them.

    Args:
        root: Folder for synthetic speech; made if missing. Different settings lie side by side in it.
        words: Words or short phrases, in the language's own script; each is a class.
        language: A language code such as `en` or `es`, for all its accents, or one accent such as `en-gb-scotland`.
        num_clips_per_word: Clips a class, at least 3; one in ten goes to `validation` and to `test`.
        seed: Draws everything that varies.
        unknown: Whether to add the class `_unknown_`: as many clips of other words, half of them nearly like a keyword
            (`common.synthesis.speech.near_words`), different words in each split.
        silence: Whether to add the class `_silence_`: as many clips of noise alone.

    Returns:
        A manifest (see `common.corpora.manifest`) with the label as it was given.

    Raises:
        UserError: espeak-ng is not installed, or does not speak the language.
        UserError: The word list is empty, names a word twice, or names one of the classes that the corpus adds itself.
        UserError: The language has no sounds for a word, or only spells it.
        UserError: Fewer than 3 clips a word are asked for.
        UserError: The folder is a file, or cannot be written to.
    """
    accents = espeak.accents(language)
    words = _checked_words(words, accents[0])
    if num_clips_per_word < 3:
        raise UserError(f"expected at least 3 clips per word, one for each split; received {num_clips_per_word}")
    if Path(root).exists() and not Path(root).is_dir():
        raise UserError(f"{root} is a file; expected a folder to make synthetic speech in")
    language = language.strip().lower()
    settings = f"{language}-seed{seed}-espeak-ng-{espeak.version()}-v{_FORMAT_VERSION}"
    folder = Path(root).resolve() / settings
    near, far = _unknown_words(words, language, accents) if unknown else ({}, {})
    ways = {word: pronunciations(word, accents[0], words) for word in (*words, *sum(far.values(), []))}
    clips = []
    for split, num_clips in _split_sizes(num_clips_per_word).items():
        kinds = [others[split] for others in (near, far) if others.get(split)]
        for number in range(num_clips):
            said = [(word, word, number) for word in words]
            if unknown:
                # Near and far words in turn.
                turn, kind = divmod(number, len(kinds))
                repetition, position = divmod(turn, len(kinds[kind]))
                said.append((kinds[kind][position], UNKNOWN, repetition))
            if silence:
                said.append(("", SILENCE, number))
            clips += [_draw_clip(folder, accents, ways.get(what[0], []), seed, split, what) for what in said]
    missing = [clip for clip in clips if not clip.path.exists()]
    if missing:
        _write_description(folder, language, seed, {clip.path.parent.name: clip.word for clip in clips})
        with progress.bar(len(clips), "synthetic speech", "clip", len(clips) - len(missing)) as meter:
            for _ in parallel.stripes(_write_clip, missing, _MANY_CLIPS):
                meter.update()
    return manifest.from_rows(
        {"path": clip.path, "split": clip.split, "label": clip.label, "speaker": clip.speaker, "sex": clip.sex}
        for clip in clips
    )


def _write_clip(clip: _Clip) -> None:
    audio.write(clip.path, make_clip(clip), SAMPLE_RATE, "PCM_16")


def make_clip(clip: _Clip) -> np.ndarray:
    """Make the recording of a clip.

    Returns:
        float32 in [-1, 1], shape `(samples,)`, at `SAMPLE_RATE`: one second, or longer where the speech needs it.

    Raises:
        UserError: The accent has no sounds for the word.
    """
    rng = np.random.default_rng(clip.seed)
    num_samples = round(_CLIP_SECONDS * SAMPLE_RATE)
    if not clip.word:
        return _background(num_samples, rng)
    speech = _say(clip, rng)
    if len(speech) > num_samples:
        num_samples = len(speech) + round(2 * _MARGIN_SECONDS * SAMPLE_RATE)
    waveform = np.zeros(num_samples, np.float32)
    start = rng.integers(num_samples - len(speech) + 1)
    waveform[start : start + len(speech)] = speech
    if rng.random() < 0.6:
        waveform = effects.room(waveform, rng, SAMPLE_RATE)
    if rng.random() < 0.85:
        waveform = effects.microphone(waveform, rng, SAMPLE_RATE)
    waveform *= 10 ** (rng.uniform(-30, -11) / 20) / _rms(waveform[start : start + len(speech)])
    noise = _noise(num_samples, rng)
    noise *= _rms(waveform[start : start + len(speech)]) * 10 ** (-rng.uniform(12, 60) / 20)
    waveform += noise
    return (waveform * min(1.0, 0.99 / np.abs(waveform).max())).astype(np.float32)


def _say(clip: _Clip, rng: np.random.Generator) -> np.ndarray:
    """Speak the word of a clip as a person might: shape `(samples,)`, without pauses around it."""
    spoken = drawl(clip.spoken, clip.accent, rng) if rng.random() < 0.6 else clip.spoken
    speech = _speak(spoken, clip.accent, clip.variant, rng)
    # Before what follows: another rhythm would stretch murmurs, pauses and fading ends, the weakest sounds, most.
    if rng.random() < 0.9:
        speech = _trim(effects.change_voice(speech, rng))
    if begins_with_voiced_plosive(spoken, clip.accent) and rng.random() < 0.2:
        speech = effects.prevoice(speech, rng, SAMPLE_RATE)
    if ends_with_vowel(spoken, clip.accent) and rng.random() < 0.7:
        speech = effects.die_away(speech, rng)
    elif rng.random() < 0.7:
        speech = effects.hold_closure(speech, rng, SAMPLE_RATE)
    if rng.random() < 0.15:
        speech = effects.cut_ends(speech, rng)
    return speech


def _checked_words(words: Sequence[str], accent: str) -> list[str]:
    if isinstance(words, str):
        raise UserError(f'expected a list of words; received the text "{words}"')
    words = [unicodedata.normalize("NFC", word.strip()) for word in words]
    if not words:
        raise UserError("the synthetic corpus needs words to speak; give at least one, for example --words=yes,no")
    seen, sounds = set(), {}
    for word in words:
        if word in (UNKNOWN, SILENCE):
            raise UserError(f'"{word}" is a class that the corpus adds itself; leave it out of the words')
        if word.casefold() in seen:
            raise UserError(f'the word "{word}" is listed twice; list each word once')
        seen.add(word.casefold())
        _check_speakable(word, accent)
        twin = sounds.setdefault(espeak.phonemes(word, accent), word)
        if twin != word:
            logging.warning('"%s" and "%s" sound the same, so no model can tell them apart', twin, word)
    return words


def _check_speakable(word: str, accent: str) -> None:
    samples, sample_rate = espeak.synthesize(word, accent)
    if len(_trim(samples)) < _SHORTEST_WORD_SECONDS * sample_rate:
        raise _not_spoken(word, accent)
    if any(espeak.is_spelled_out(part, accent) for part in word.split()):
        if not word.isascii():
            raise _not_spoken(word, accent)
        logging.warning('the voice "%s" spells "%s" letter by letter, as it does with abbreviations', accent, word)


def _not_spoken(word: str, accent: str) -> UserError:
    return UserError(
        f'the voice "{accent}" cannot speak "{word}"; give words in the script of the language,'
        " or the language of the words, for example --language=ru"
    )


def _split_sizes(num_clips: int) -> dict[str, int]:
    held_out = max(1, round(_HELD_OUT_SHARE * num_clips))
    return {"test": held_out, "validation": held_out, "train": num_clips - 2 * held_out}


def _unknown_words(
    words: list[str], language: str, accents: list[str]
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Divide words that sound like none of `words` among the splits: nearly like them, and others.

    The others are numbers beyond English. Each split gets words of its own.
    """
    candidates = _UNKNOWN_ENGLISH.split() if language.split("-")[0] == "en" else _UNKNOWN_NUMBERS
    keys = set().union(*(near_words.sound_keys(word, accents) for word in words))
    others = [word for word in candidates if not near_words.sound_keys(word, accents) & keys]
    ways = [way for word in words for way in pronunciations(word, accents[0], words)]
    near = near_words.near_words(words, accents, [*others, *ways], _NUM_NEAR_WORDS)
    return _divide(near), _divide(others)


def _divide(words: list[str]) -> dict[str, list[str]]:
    words = sorted(words, key=lambda word: hashlib.sha256(word.encode()).digest())
    divided = {}
    for split, size in _split_sizes(len(words)).items():
        divided[split], words = words[:size], words[size:]
    return divided


def _draw_clip(
    folder: Path, accents: list[str], ways: list[str], seed: int, split: str, said: tuple[str, str, int]
) -> _Clip:
    """Draw how a clip is made; `said` is its word, its label, and how many clips of the word come before."""
    word, label, number = said
    key = f"{seed}/{split}/{word}/{number}"
    clip_seed = int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big")
    rng = np.random.default_rng([1, clip_seed])
    if not word:
        return _Clip(folder / SILENCE / f"{split}_nohash_{number}.wav", "", "", label, split, "", "", "", clip_seed)
    sex = str(rng.choice(("F", "M")))
    accent, variant = str(rng.choice(accents)), str(rng.choice(VARIANTS[split][sex].split()))
    spoken, mark = word, ""
    if ways and rng.random() < _OTHER_PRONUNCIATIONS:
        spoken = str(rng.choice(ways))
        mark = f"-{hashlib.sha256(spoken.encode()).hexdigest()[:4]}"
    path = folder / _folder_name(word) / f"{accent}+{variant}_nohash_{number}{mark}.wav"
    return _Clip(path, word, spoken, label, split, accent, variant, sex, clip_seed)


def _folder_name(word: str) -> str:
    """Name a folder by a word: itself if it is plain, else its plain letters and a hash that keeps it apart."""
    letters = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode().lower()
    plain = "".join(letter if letter.isalnum() else "_" for letter in letters)[:40].strip("_")
    if plain == word:
        return plain
    return f"{plain or 'word'}-{hashlib.sha256(word.encode('utf-8')).hexdigest()[:8]}"


def _write_description(folder: Path, language: str, seed: int, words: dict[str, str]) -> None:
    path = folder / "synthetic.json"
    if path.exists():
        way_out = "delete it; what it lists is made again"
        described = files.read_json(path, way_out)
        if not isinstance(described, dict) or not isinstance(described.get("words"), dict):
            raise UserError(f"{path} lists no words; {way_out}")
        words = {**described["words"], **words}
    description = {
        "made_by": f"espeak-ng {espeak.version()}",
        "language": language,
        "seed": seed,
        "sample_rate": SAMPLE_RATE,
        "words": dict(sorted(words.items())),
    }
    files.write_json(path, description)


def _speak(word: str, accent: str, variant: str, rng: np.random.Generator) -> np.ndarray:
    # Punctuation decides the melody.
    ending = str(rng.choice(("", ".", "?", "!", ",")))
    samples, sample_rate = espeak.synthesize(
        word + ending,
        accent,
        variant,
        rate_wpm=int(rng.integers(90, 231)),
        pitch=int(rng.integers(15, 86)),
        pitch_range=int(rng.integers(10, 100)),
        emphasis="" if word.startswith("[[") else str(rng.choice(espeak.EMPHASES)),
    )
    # Played faster or slower, a voice gets a shorter or longer vocal tract: formants move, as between people.
    tract_scale = rng.uniform(0.88, 1.14)
    speech = _trim(audio.resample(samples, int(sample_rate * tract_scale), SAMPLE_RATE))
    if len(speech) < _SHORTEST_WORD_SECONDS * SAMPLE_RATE:
        raise _not_spoken(word, accent)
    return speech


def _trim(waveform: np.ndarray) -> np.ndarray:
    """Cut what is 45 dB below the peak off both ends."""
    loud = np.flatnonzero(np.abs(waveform) > 0.0056 * np.abs(waveform).max(initial=0))
    return waveform[loud[0] : loud[-1] + 1] if len(loud) else waveform[:0]


def _noise(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw Gaussian noise of unit RMS whose colour lies between blue (-1) and brown (2): power over f to that."""
    frequencies_hz = np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE)
    gains = np.maximum(frequencies_hz, 30) ** (-rng.uniform(-1, 2) / 2)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(num_samples)) * gains, num_samples)
    return (noise / _rms(noise)).astype(np.float32)


def _background(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a recording without speech: noise that may swell, with or without mains hum and knocks."""
    noise = _noise(num_samples, rng)
    times = np.arange(num_samples) / SAMPLE_RATE
    if rng.random() < 0.5:
        noise *= 1 + rng.uniform(0, 0.9) * np.sin(2 * np.pi * (rng.uniform(0.3, 4) * times + rng.random()))
    if rng.random() < 0.3:
        harmonics = np.arange(1, rng.integers(2, 9))
        phases = rng.choice((50, 60)) * times[:, None] * harmonics + rng.random(len(harmonics))
        noise += rng.uniform(0.1, 1) * (np.sin(2 * np.pi * phases) / harmonics).sum(axis=1)
    for start in rng.integers(num_samples, size=rng.poisson(0.7)):
        decay_samples = rng.uniform(0.003, 0.03) * SAMPLE_RATE
        after = np.arange(num_samples - start)
        noise[start:] += rng.uniform(2, 10) * rng.standard_normal(len(after)) * np.exp(-after / decay_samples)
    noise *= 10 ** (rng.uniform(-70, -25) / 20) / _rms(noise)
    return (noise * min(1.0, 0.99 / np.abs(noise).max())).astype(np.float32)


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))

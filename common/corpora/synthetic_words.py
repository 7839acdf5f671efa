"""Synthetic spoken words: any list of words in any language of espeak-ng, without a download.

Every clip has a random accent, pronunciation, voice, rate, pitch, melody, emphasis, rhythm, vocal tract, breath,
microphone, room, level and background noise (see `common.synthesis.speech`). Other synthesizers have fewer but natural
voices (`common.corpora.natural_voices`); their clips are only moved, levelled and set in rooms and noise. A speaker is an accent with a voice
variant, written as `en-gb-scotland+f3`. The *variants* are split: no voice of the test split is in training, in any
accent, and variants that derive from one another are all in training.

The folder has the layout of Speech Commands, `<root>/<settings>/<word>/<speaker>_nohash_<n>.wav`, 16 kHz, 16 bits,
mono. A clip depends only on its language, seed, word, split, number and pronunciation, so existing clips are reused: an
interrupted run resumes, and a longer word list or more clips per word only add files. The flutter of espeak-ng carries
over from one clip to the next, so clips generated in another order can differ by a few inaudible samples.
"""

import hashlib
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from common import audio, files, progress
from common.corpora import manifest, natural_voices, parallel
from common.errors import UserError
from common.log import logger
from common.synthesis.speech import effects, espeak, near_words
from common.synthesis.speech.pronunciations import begins_with_voiced_plosive, drawl, ends_with_vowel, pronunciations

FOLDER = "data/synthetic"
SAMPLE_RATE = 16000
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN, SILENCE = "_unknown_", "_silence_"

# Variants by split and sex. Of the 104 variants of espeak-ng, those that do not sound human (whispers, robots, echoes,
# heavy distortion, no stable pitch) or have no clear sex are left out. Held-out variants derive from no other.
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

_FORMAT_VERSION, _SEED = 3, 0
_CLIP_SECONDS, _MARGIN_SECONDS, _SHORTEST_WORD_SECONDS = 1.0, 0.1, 0.04
_HELD_OUT_SHARE = 0.1
_NUM_NEAR_WORDS = 200
_OTHER_PRONUNCIATIONS = 0.6
_MANY_CLIPS = 1000


class _Clip(NamedTuple):
    """A recording to generate: its word (empty for silence), pronunciation, class, path and voice."""

    path: Path
    word: str
    spoken: str
    label: str
    split: str
    accent: str
    variant: str
    sex: str
    seed: int
    utterance: natural_voices.Utterance | None = None

    @property
    def speaker(self) -> str:
        if self.utterance:
            return self.utterance.speaker
        return f"{self.accent}+{self.variant}" if self.word else ""


def index(
    root: str | Path,
    words: Sequence[str] = WORDS,
    language: str = "en",
    num_clips_per_word: int = 300,
    unknown: bool = False,
    silence: bool = False,
    synthesizers: natural_voices.Choice = natural_voices.ESPEAK_ALONE,
) -> pd.DataFrame:
    """Generate the missing clips and list all of them.

    Args:
        root: Folder for synthetic speech; created if missing. Each setting has its own subfolder.
        words: Words or short phrases, in the script of the language; each is a class.
        language: A language code such as `en` or `es`, for all its accents, or one accent such as `en-gb-scotland`.
        num_clips_per_word: Clips per class, at least 3; 10 % each are for `validation` and `test`.
        unknown: Whether to add the class `_unknown_`: the same number of clips of other words, half of them similar to
            a keyword (`common.synthesis.speech.near_words`), with different words in each split.
        silence: Whether to add the class `_silence_`: the same number of clips of noise alone.
        synthesizers: The synthesizers that speak, in turn; those without voices for a split leave it to the others.

    Returns:
        A manifest (see `common.corpora.manifest`) with the words as labels.

    Raises:
        UserError: espeak-ng is not installed, or does not support the language.
        UserError: The word list is empty, lists a word twice, or contains `_unknown_` or `_silence_`.
        UserError: The language has no sounds for a word, or only spells it.
        UserError: `num_clips_per_word` is below 3.
        UserError: The folder is a file, or is not writable.
        UserError: A synthesizer is unknown, not installed, or does not speak the language.
    """
    accents = espeak.accents(language)
    words = _checked_words(words, accents[0])
    if num_clips_per_word < 3:
        raise UserError(f"expected at least 3 clips per word, one for each split; received {num_clips_per_word}")
    if Path(root).exists() and not Path(root).is_dir():
        raise UserError(f"{root} is a file; expected a folder for synthetic speech")
    language = language.strip().lower()
    speakers = natural_voices.Speakers(synthesizers, language, Path(root).resolve())
    settings = f"{language}-seed{_SEED}-espeak-ng-{espeak.version()}-v{_FORMAT_VERSION}"
    folder = Path(root).resolve() / settings
    near, far = _unknown_words(words, language, accents) if unknown else ({}, {})
    alternatives = {word: pronunciations(word, accents[0], words) for word in (*words, *sum(far.values(), []))}
    clips = []
    for split, num_clips in _split_sizes(num_clips_per_word).items():
        kinds = [others[split] for others in (near, far) if others.get(split)]
        for number in range(num_clips):
            # Word, label, number of the clip within the word, and whose turn it is.
            items = [(word, word, number, number) for word in words]
            if unknown:
                # Near and far words alternate.
                turn, kind = divmod(number, len(kinds))
                repetition, position = divmod(turn, len(kinds[kind]))
                items.append((kinds[kind][position], UNKNOWN, repetition, turn + repetition))
            if silence:
                items.append(("", SILENCE, number, 0))
            for *item, turn in items:
                utterance = speakers.draw(split, item[0], turn) if item[0] else None
                if utterance:
                    clips.append(_natural_clip(folder, utterance, split, item))
                else:
                    clips.append(_draw_clip(folder, accents, alternatives.get(item[0], []), split, item))
    missing = [clip for clip in clips if not clip.path.exists()]
    if missing:
        _write_description(folder, language, {clip.path.parent.name: clip.word for clip in clips})
        natural_voices.speak([clip.utterance for clip in missing if clip.utterance])
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
    """Generate the recording of a clip.

    Returns:
        float32 in [-1, 1], shape `(samples,)`, at `SAMPLE_RATE`: one second, or longer if the speech is longer.

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
    """Speak the word of a clip with random variations: shape `(samples,)`, without pauses around it."""
    if clip.utterance:
        # Speaks as people do, so only the length of the vocal tract is changed.
        tract_scale = rng.uniform(0.9, 1.1)
        return _trim(natural_voices.load(clip.utterance, round(SAMPLE_RATE / tract_scale)))
    spoken = drawl(clip.spoken, clip.accent, rng) if rng.random() < 0.6 else clip.spoken
    speech = _speak(spoken, clip.accent, clip.variant, rng)
    # First, since a change of rhythm stretches the weakest sounds most: murmurs, pauses and fading ends.
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
        raise UserError("the synthetic corpus needs words; give at least one, for example --words=yes,no")
    seen, sounds = set(), {}
    for word in words:
        if word in (UNKNOWN, SILENCE):
            raise UserError(f'"{word}" is a class that the corpus adds automatically; remove it from the words')
        if word.casefold() in seen:
            raise UserError(f'the word "{word}" is listed twice; list each word once')
        seen.add(word.casefold())
        _check_speakable(word, accent)
        twin = sounds.setdefault(espeak.phonemes(word, accent), word)
        if twin != word:
            logger.warning('"%s" and "%s" sound the same, so no model can tell them apart', twin, word)
    return words


def _check_speakable(word: str, accent: str) -> None:
    samples, sample_rate = espeak.synthesize(word, accent)
    if len(_trim(samples)) < _SHORTEST_WORD_SECONDS * sample_rate:
        raise _not_spoken(word, accent)
    if any(espeak.is_spelled_out(part, accent) for part in word.split()):
        if not word.isascii():
            raise _not_spoken(word, accent)
        logger.warning('the voice "%s" spells "%s" letter by letter, as it does with abbreviations', accent, word)


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
    """Choose words for `_unknown_` and split them: near words, which are similar to `words`, and others.

    The others are numbers for languages other than English. No word is in two splits.
    """
    candidates = _UNKNOWN_ENGLISH.split() if language.split("-")[0] == "en" else _UNKNOWN_NUMBERS
    keys = set().union(*(near_words.sound_keys(word, accents) for word in words))
    others = [word for word in candidates if not near_words.sound_keys(word, accents) & keys]
    alternatives = [text for word in words for text in pronunciations(word, accents[0], words)]
    near = near_words.near_words(words, accents, [*others, *alternatives], _NUM_NEAR_WORDS)
    return _divide(near), _divide(others)


def _divide(words: list[str]) -> dict[str, list[str]]:
    words = sorted(words, key=lambda word: hashlib.sha256(word.encode()).digest())
    divided = {}
    for split, size in _split_sizes(len(words)).items():
        divided[split], words = words[:size], words[size:]
    return divided


def _draw_clip(
    folder: Path, accents: list[str], alternatives: list[str], split: str, item: tuple[str, str, int]
) -> _Clip:
    """Draw the properties of a clip; `item` is its word, its label, and the number of the clip within the word."""
    word, label, number = item
    clip_seed = _seed(split, word, number)
    rng = np.random.default_rng([1, clip_seed])
    if not word:
        return _Clip(folder / SILENCE / f"{split}_nohash_{number}.wav", "", "", label, split, "", "", "", clip_seed)
    sex = str(rng.choice(("F", "M")))
    accent, variant = str(rng.choice(accents)), str(rng.choice(VARIANTS[split][sex].split()))
    spoken, mark = word, ""
    if alternatives and rng.random() < _OTHER_PRONUNCIATIONS:
        spoken = str(rng.choice(alternatives))
        mark = f"-{hashlib.sha256(spoken.encode()).hexdigest()[:4]}"
    path = folder / _folder_name(word) / f"{accent}+{variant}_nohash_{number}{mark}.wav"
    return _Clip(path, word, spoken, label, split, accent, variant, sex, clip_seed)


def _natural_clip(folder: Path, utterance: natural_voices.Utterance, split: str, item: tuple[str, str, int]) -> _Clip:
    """Return a clip of an utterance; `item` as in `_draw_clip`."""
    word, label, number = item
    path = folder / _folder_name(word) / f"{utterance.speaker}_nohash_{split}{number}-{utterance.path.stem[-4:]}.wav"
    seed = _seed(split, f"{utterance.path.name}/{word}", number)
    return _Clip(path, word, utterance.text, label, split, "", "", utterance.sex, seed, utterance)


def _seed(split: str, word: str, number: int) -> int:
    key = f"{_SEED}/{split}/{word}/{number}"
    return int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big")


def _folder_name(word: str) -> str:
    """Return the folder name of a word: the word itself if it is plain ASCII, else its ASCII letters and a hash."""
    letters = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode().lower()
    plain = "".join(letter if letter.isalnum() else "_" for letter in letters)[:40].strip("_")
    if plain == word:
        return plain
    return f"{plain or 'word'}-{hashlib.sha256(word.encode('utf-8')).hexdigest()[:8]}"


def _write_description(folder: Path, language: str, words: dict[str, str]) -> None:
    path = folder / "synthetic.json"
    if path.exists():
        hint = "delete it; it is written again"
        described = files.read_json(path, hint)
        if not isinstance(described, dict) or not isinstance(described.get("words"), dict):
            raise UserError(f"{path} lists no words; {hint}")
        words = {**described["words"], **words}
    description = {
        "made_by": f"espeak-ng {espeak.version()}",
        "language": language,
        "seed": _SEED,
        "sample_rate": SAMPLE_RATE,
        "words": dict(sorted(words.items())),
    }
    files.write_json(path, description)


def _speak(word: str, accent: str, variant: str, rng: np.random.Generator) -> np.ndarray:
    # The punctuation determines the intonation.
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
    # Resampling changes the apparent length of the vocal tract and shifts the formants, as between people.
    tract_scale = rng.uniform(0.88, 1.14)
    speech = _trim(audio.resample(samples, int(sample_rate * tract_scale), SAMPLE_RATE))
    if len(speech) < _SHORTEST_WORD_SECONDS * SAMPLE_RATE:
        raise _not_spoken(word, accent)
    return speech


def _trim(waveform: np.ndarray) -> np.ndarray:
    """Trim both ends at 45 dB below the peak."""
    loud = np.flatnonzero(np.abs(waveform) > 0.0056 * np.abs(waveform).max(initial=0))
    return waveform[loud[0] : loud[-1] + 1] if len(loud) else waveform[:0]


def _noise(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw Gaussian noise of unit RMS with a power spectrum of 1/f^a, a from -1 (blue) to 2 (brown)."""
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

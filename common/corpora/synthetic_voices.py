"""Synthetic speakers, several seconds of each at a time, made on the spot by espeak-ng: to practise counting them.

A speaker is an accent and a voice variant with a pitch, a melody, a rate, a vocal tract, a microphone and a room of its
own, the same in all its utterances; what is said, its pauses, its level and its noise differ. The splits divide the
*variants* as those of `common.corpora.synthetic_words` do: no voice of the test split is heard in training.

The folder is `<root>/<settings>/<speaker>/<n>.wav`, 16 kHz, 16 bits, mono. A recording depends on its language, seed,
speaker and number alone, so recordings that are there are used again: a run that was killed goes on where it was, and
more speakers or more utterances only add files. espeak-ng's own flutter carries over from one to the next, so those made
in another order can differ by a few inaudible samples.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from common import audio, progress
from common.corpora import manifest, parallel
from common.corpora.synthetic_words import SAMPLE_RATE, VARIANTS
from common.errors import UserError
from common.synthesis.speech import effects, espeak

# English by rule: what stands in braces is replaced by one of the alternatives of that name.
_ENGLISH = {
    "sentence": "{time}, {person} {did} {thing} {place}.|{person} {did} {thing}, and {person} {felt} {quality}."
    "|Did {person} {do} {thing} {place}?|I think {thing} was {quality}, but {person} never {did} it."
    "|Please {do} {thing} before {event}, and {do} {thing} after it.|It was so {quality} {place} that {person} left."
    "|Where did you {do} {thing}, and why?|{number} people waited {place} until {event}."
    "|Nobody knows why {person} {did} {thing}.|We met {person} {place}, {number} years ago."
    "|No, {person} {felt} {quality} about {event}.|If you {do} {thing}, {person} will be {quality}."
    "|What a story about {thing} {place}!|{person}, who {did} {thing} {place}, was {quality}."
    "|There were {number} letters under {thing}.|Can we {do} {thing} {time}, or after {event}?",
    "time": "yesterday|this morning|last winter|on Friday|every evening|at half past nine|in the summer|once a week"
    "|long ago|after dinner|tonight|in early March",
    "person": "my sister|the old doctor|our neighbour|Peter|a young farmer|the teacher|her uncle|Julia|the captain"
    "|some children|the shy boy|his grandmother|a tall stranger|the judge|Oliver|everybody|my best friend|the cook",
    "did": "found|carried|painted|forgot|sold|opened|described|lost|washed|followed|borrowed|broke|wanted|fixed|saw"
    "|gave away|picked up|bought",
    "do": "find|carry|paint|forget|sell|open|describe|lose|wash|follow|borrow|break|check|fix|see|give away|pick up|buy",
    "felt": "felt|seemed|looked|was|sounded",
    "thing": "the blue bicycle|an empty box|a loaf of bread|that heavy book|the garden gate|two white horses|the piano"
    "|a glass of water|the whole house|some fresh fish|the yellow boat|a wooden chair|the church clock|my green jacket"
    "|five large pictures|the last ticket|their dog|a very small engine|the cheese|this photograph",
    "quality": "happy|cold|strange|quiet|beautiful|noisy|angry|cheap|wonderful|dull|proud|useful"
    "|lovely|dangerous|tired|fresh",
    "place": "in the kitchen|near the river|at the station|on the roof|behind the school|by the sea|across the bridge"
    "|in a small village|under the oak tree|next door|at the market|on the third floor|in the north",
    "event": "the wedding|lunch|the long journey|the concert|breakfast|his birthday|the storm|the next meeting|school"
    "|the game|sunrise",
    "number": "two|three|four|six|seven|nine|eleven|twelve|fourteen|twenty|thirty five|forty|a hundred",
}
FOLDER = "data/voices"
_LARGEST_NUMBER = 999

_FORMAT_VERSION = 1
_HELD_OUT_SHARE, _ENOUGH_HELD_OUT = 0.15, 8
_FEWEST_SPEAKERS = 12
_MANY_UTTERANCES = 60
# What people do: men's voices at about 95 to 165 Hz, women's at 150 to 250 Hz, whose vocal tracts are shorter.
_PITCHES = {"F": (25, 61), "M": (45, 96)}
_TRACT_SCALES = {"F": (0.95, 1.14), "M": (0.88, 1.07)}


class _Speaker(NamedTuple):
    """Somebody who speaks; `seed` draws the microphone and the room."""

    name: str
    split: str
    sex: str
    accent: str
    variant: str
    rate_wpm: int
    pitch: int
    pitch_range: int
    tract_scale: float
    in_room: bool
    seed: int


class _Utterance(NamedTuple):
    """One recording to be; `seed` draws what differs between those of a speaker."""

    path: Path
    speaker: _Speaker
    seed: int


def index(
    root: str | Path, language: str = "en", num_speakers: int = 160, utterances_per_speaker: int = 3, seed: int = 0
) -> pd.DataFrame:
    """Make the recordings that are not there yet, and list all of them.

    Args:
        root: Folder for synthetic speech; made if missing. Different settings lie side by side in it.
        language: A language code such as `en` or `es`, for all its accents, or one accent such as `en-gb-scotland`.
            English is spoken in sentences, any other language in numbers.
        num_speakers: Speakers in all, at least 12, half of them women. 15 % each are for `validation` and `test`, but
            no fewer than 8 where that leaves half for training.
        utterances_per_speaker: Recordings of each, at least 1, of about 5 to 7 s.
        seed: Draws everything that varies.

    Returns:
        A manifest (see `common.corpora.manifest`) without labels.

    Raises:
        UserError: espeak-ng is not installed, or does not speak the language, or knows none of its numbers.
        UserError: Too few speakers or utterances are asked for.
        UserError: The folder is a file, or cannot be written to.
    """
    accents = espeak.accents(language)
    if num_speakers < _FEWEST_SPEAKERS:
        raise UserError(
            f"expected at least {_FEWEST_SPEAKERS} speakers, some of both sexes for each split; received {num_speakers}"
        )
    if utterances_per_speaker < 1:
        raise UserError(f"expected at least one utterance per speaker; received {utterances_per_speaker}")
    if Path(root).exists() and not Path(root).is_dir():
        raise UserError(f"{root} is a file; expected a folder to make synthetic speech in")
    language = language.strip().lower()
    _check_speaks(language, accents[0])
    settings = f"utterances-{language}-seed{seed}-espeak-ng-{espeak.version()}-v{_FORMAT_VERSION}"
    folder = Path(root).resolve() / settings
    utterances = [
        _Utterance(folder / speaker.name / f"{number}.wav", speaker, _hash(f"{speaker.seed}/{number}"))
        for speaker in _draw_speakers(accents, num_speakers, seed)
        for number in range(utterances_per_speaker)
    ]
    missing = [utterance for utterance in utterances if not utterance.path.exists()]
    if missing:
        with progress.bar(len(utterances), "synthetic speech", "utterance", len(utterances) - len(missing)) as meter:
            for _ in parallel.stripes(_write_utterance, missing, _MANY_UTTERANCES):
                meter.update()
    return manifest.from_rows(
        {
            "path": utterance.path,
            "split": utterance.speaker.split,
            "speaker": utterance.speaker.name,
            "sex": utterance.speaker.sex,
        }
        for utterance in utterances
    )


def _check_speaks(language: str, accent: str) -> None:
    samples, _ = espeak.synthesize(_draw_sentence(accent, np.random.default_rng(0)), accent)
    if not np.any(samples):
        raise UserError(
            f'espeak-ng has no sounds for numbers in "{language}"; expected a language that it speaks in full, such as'
            " de, en or es"
        )


def _draw_speakers(accents: list[str], num_speakers: int, seed: int) -> list[_Speaker]:
    """Draw all speakers; those of a smaller number are among those of a larger one."""
    held_out = max(round(_HELD_OUT_SHARE * num_speakers), min(_ENOUGH_HELD_OUT, num_speakers // 4))
    num_women = num_speakers // 2
    counts = {
        # Of an odd number, one split has a woman more and the other a man.
        "test": {"F": (held_out + 1) // 2, "M": held_out // 2},
        "validation": {"F": held_out // 2, "M": (held_out + 1) // 2},
        "train": {"F": num_women - held_out, "M": num_speakers - num_women - held_out},
    }
    return [
        _draw_speaker(accents, seed, split, sex, number)
        for split, sexes in counts.items()
        for sex, count in sexes.items()
        for number in range(count)
    ]


def _draw_speaker(accents: list[str], seed: int, split: str, sex: str, number: int) -> _Speaker:
    variants = VARIANTS[split][sex].split()
    # In turn, so that a few speakers share as few variants as can be.
    variant = variants[(number + seed) % len(variants)]
    speaker_seed = _hash(f"{seed}/{split}/{sex}/{number}")
    rng = np.random.default_rng([0, speaker_seed])
    accent = str(rng.choice(accents))
    return _Speaker(
        name=f"{split}_{sex}{number:03d}_{accent}+{variant}",
        split=split,
        sex=sex,
        accent=accent,
        variant=variant,
        rate_wpm=int(rng.integers(135, 216)),
        pitch=int(rng.integers(*_PITCHES[sex])),
        pitch_range=int(rng.integers(25, 86)),
        tract_scale=float(rng.uniform(*_TRACT_SCALES[sex])),
        in_room=bool(rng.random() < 0.4),
        seed=speaker_seed,
    )


def _write_utterance(utterance: _Utterance) -> None:
    audio.write(utterance.path, make_utterance(utterance), SAMPLE_RATE, "PCM_16")


def make_utterance(utterance: _Utterance) -> np.ndarray:
    """Make a recording.

    Returns:
        float32 in [-1, 1], shape `(samples,)`, at `SAMPLE_RATE`, with the pauses that espeak-ng puts after sentences.
    """
    speaker = utterance.speaker
    rng = np.random.default_rng(utterance.seed)
    waveform = _say(speaker, rng.uniform(3.5, 5.5), rng)
    rms = _rms(waveform)
    if speaker.in_room:
        reverberant = effects.room(waveform, np.random.default_rng([1, speaker.seed]), SAMPLE_RATE)
        # Less of it than behind a single word: who reads aloud sits near the microphone.
        waveform = waveform + 0.4 * (reverberant - waveform)
    waveform = waveform + rms * 10 ** (-rng.uniform(45, 65) / 20) * rng.standard_normal(len(waveform))
    waveform = effects.microphone(waveform, np.random.default_rng([2, speaker.seed]), SAMPLE_RATE)
    waveform *= 10 ** (rng.uniform(-32, -16) / 20) / _rms(waveform)
    return (waveform * min(1.0, 0.99 / np.abs(waveform).max())).astype(np.float32)


def _say(speaker: _Speaker, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Speak sentences until they last as long as wanted: shape `(samples,)`."""
    parts, num_samples = [], 0
    while num_samples < seconds * SAMPLE_RATE:
        samples, sample_rate = espeak.synthesize(
            _draw_sentence(speaker.accent, rng),
            speaker.accent,
            speaker.variant,
            speaker.rate_wpm,
            speaker.pitch,
            speaker.pitch_range,
        )
        # Played faster or slower, a voice gets a shorter or longer vocal tract.
        speech = audio.resample(samples, int(sample_rate * speaker.tract_scale), SAMPLE_RATE)
        pause = np.zeros(round(rng.uniform(0, 0.3) * SAMPLE_RATE), np.float32)
        parts += [speech, pause]
        num_samples += len(speech) + len(pause)
    return np.concatenate(parts[:-1])


def _draw_sentence(accent: str, rng: np.random.Generator) -> str:
    if accent.split("-")[0] == "en":
        return _expand("{sentence}", rng)
    numbers = rng.integers(_LARGEST_NUMBER + 1, size=rng.integers(1, 4))
    return ", ".join(map(str, numbers)) + str(rng.choice((".", ".", "?", "!")))


def _expand(text: str, rng: np.random.Generator) -> str:
    """Replace every name in braces, and those in what replaces it."""
    return re.sub(r"{(\w+)}", lambda name: _expand(str(rng.choice(_ENGLISH[name[1]].split("|"))), rng), text)


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big")


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))

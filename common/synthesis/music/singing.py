"""Singing: spoken words are sung on the notes of a melody, with vibrato, or rapped on the beat."""

import math
from typing import NamedTuple

import numpy as np
from scipy.signal import butter, sosfilt

from common import audio
from common.synthesis.music import voice
from common.synthesis.music.instruments import midi_to_hz
from common.synthesis.music.melody import Note, Tune, draw_phrases
from common.synthesis.music.score import Grid, Song, Stage, in_room
from common.synthesis.music.voice import VOICE_HOP, VOICE_ORDER, VOICE_RATE

_WORDS = (
    "love night fire heart light rain dream river morning window summer away today tonight never always forever again"
    " home road sky star moon sun shadow dancing falling running waiting calling burning flying lonely only baby"
    " hold me take my hand you and I we are one more time let it go come back to stay all the way down on high low"
    " under over water ocean city street golden silver black blue wild free young old soul mind eyes sound song sing"
    " play say know feel real alone stone bone deep sleep cry try why tomorrow yesterday remember together paradise"
)
_WORDS_A_SONG = 20
_LARGEST_NUMBER = 60
# Vocal registers: range of the central MIDI note of a melody.
_REGISTERS = {"F": (62, 69), "M": (51, 58)}
_RAP_SHARE = 0.2


class _Word(NamedTuple):
    """A word with the positions of its vowels (`voice.syllable_nuclei`)."""

    frames: voice.SpeechFrames
    nuclei: list[tuple[int, int, int]]


def draw_words(accent: str, rng: np.random.Generator) -> list[str]:
    """Draw the words of a song: English words for an English accent, such as `en-gb`, else numbers."""
    if accent.split("-")[0] == "en":
        return [str(word) for word in rng.choice(_WORDS.split(), _WORDS_A_SONG, replace=False)]
    return [str(number) for number in rng.choice(_LARGEST_NUMBER, _WORDS_A_SONG, replace=False)]


def sing(song: Song, tune: Tune, speech: dict[str, np.ndarray]) -> tuple[np.ndarray, bool]:
    """Sing or rap a song.

    Args:
        song: The song.
        tune: Grid, key and chords of the song.
        speech: The words, spoken at constant pitch: float32 at `VOICE_RATE`, shape `(samples,)`.

    Returns:
        The vocals, shape `(samples, channels)`, and whether they are rapped.
    """
    rng = np.random.default_rng([6, song.seed])
    words = []
    for samples in speech.values():
        frames = voice.speech_frames(samples)
        words.append(_Word(frames, voice.syllable_nuclei(frames)))
    is_rap = bool(rng.random() < _RAP_SHARE)
    center = rng.uniform(*_REGISTERS[song.sex]) - 5 * is_rap
    phrases = draw_phrases(tune, center, 0.2 if is_rap else rng.uniform(0.3, 0.55), 0.15, rng)
    if is_rap:
        phrases = [_speech_melody(phrase, center, rng) for phrase in phrases]
    line = _VocalLine(song.settings.seconds)
    for phrase in phrases:
        line.place(_set_words(phrase, words, rng), tune.grid, rng)
    pitch = _pitch_contour(phrases, tune.grid, len(line.gain), is_rap, rng)
    breath = rng.uniform(0.1, 0.6)
    waveform = voice.voice(line.cepstrum, line.voicing, line.gain, midi_to_hz(pitch), rng, breath)
    # The voices of espeak-ng have less treble than close-microphone recordings.
    treble = sosfilt(butter(1, 2500, "highpass", fs=VOICE_RATE, output="sos"), waveform)
    waveform = audio.resample(waveform + rng.uniform(0, 2) * treble, VOICE_RATE, song.settings.sample_rate)
    stage = Stage(song, rng)
    stage.add(waveform, 0.0)
    return in_room(stage, song, rng, 0.15), is_rap


def _speech_melody(phrase: list[Note], center: float, rng: np.random.Generator) -> list[Note]:
    """Give the notes of a phrase the pitches of speech: falling over the phrase, higher on stressed beats."""
    fall = np.linspace(2, -3, len(phrase))
    return [
        note._replace(pitch=center + fall[number] + 2 * (note.step % 4 == 0) + rng.normal(0, 1.2))
        for number, note in enumerate(phrase)
    ]


def _set_words(phrase: list[Note], words: list[_Word], rng: np.random.Generator) -> list[tuple[_Word, list[Note]]]:
    """Assign the notes of a phrase to words: one note per syllable, sometimes two for the last one."""
    text, used = [], 0
    while used < len(phrase):
        left = len(phrase) - used
        drawn = [words[number] for number in rng.permutation(len(words))]
        word = next((word for word in drawn if len(word.nuclei) <= left), drawn[0])
        count = min(left, len(word.nuclei) + int(rng.random() < 0.15))
        text.append((word, phrase[used : used + count]))
        used += count
    return text


class _VocalLine:
    """The frames of a vocal line (input of `voice.voice`); initially silent."""

    def __init__(self, seconds: float):
        num_frames = math.ceil(seconds * VOICE_RATE / VOICE_HOP) + 2
        self.cepstrum = np.zeros((num_frames, VOICE_ORDER), np.float32)
        self.voicing = np.zeros(num_frames, np.float32)
        self.gain = np.zeros(num_frames, np.float32)
        self._end = 0.0

    def place(self, text: list[tuple[_Word, list[Note]]], grid: Grid, rng: np.random.Generator) -> None:
        """Add the words of a phrase.

        A vowel starts with its note. The consonants before it start earlier and shorten the previous vowel. Vowels are
        lengthened around their loudest frame, so that consonants stay as short as in speech.
        """
        frames_a_second = VOICE_RATE / VOICE_HOP
        leads = [word.nuclei[0][0] for word, _ in text] + [0]
        for number, (word, notes) in enumerate(text):
            starts = [grid.seconds(0, note.step) * frames_a_second + rng.normal(0, 1.5) for note in notes]
            end = grid.seconds(0, notes[-1].step + notes[-1].num_steps) * frames_a_second
            end -= min(leads[number + 1], 0.4 * (end - starts[-1]))
            self._place_word(word, starts, end, rng.uniform(0.75, 1.0))

    def _place_word(self, word: _Word, starts: list[float], end: float, gain: float) -> None:
        frames, nuclei = word
        if len(nuclei) > len(starts):
            loudest = sorted(nuclei, key=lambda nucleus: -frames.level[nucleus[1]])[: len(starts)]
            nuclei = sorted(loudest)
        lead = min(nuclei[0][0], max(2.0, starts[0] - self._end))
        source, target = [0.0], [starts[0] - lead]
        for number, (first, top, last) in enumerate(nuclei):
            is_last = number + 1 == len(nuclei)
            until = end if is_last else starts[number + 1]
            consonants = min(
                (len(frames.level) if is_last else nuclei[number + 1][0]) - last, 0.5 * (until - starts[number])
            )
            held = until - consonants - starts[number]
            source.append(first)
            target.append(starts[number])
            if held > last - first:
                source += [top, top]
                target += [starts[number] + top - first, until - consonants - (last - top)]
            source.append(last)
            target.append(until - consonants)
        source.append(len(frames.level) - 1)
        target.append(end)
        self._end = end
        begin, stop = max(0, math.ceil(target[0])), min(len(self.gain) - 1, math.floor(end))
        if stop <= begin:
            return
        positions = np.interp(np.arange(begin, stop), np.maximum.accumulate(target), source)
        left = np.minimum(positions.astype(int), len(frames.level) - 2)
        weight = (positions - left).astype(np.float32)
        for line, values in ((self.cepstrum.T, frames.cepstrum.T), (self.voicing, frames.voicing)):
            line[..., begin:stop] = values[..., left] * (1 - weight) + values[..., left + 1] * weight
        edge = np.minimum(np.arange(stop - begin) + 1, 3) / 3
        self.gain[begin:stop] = gain * edge * edge[::-1]


def _pitch_contour(
    phrases: list[list[Note]], grid: Grid, num_frames: int, is_rap: bool, rng: np.random.Generator
) -> np.ndarray:
    """Return the pitch of every frame as a MIDI number, with glides between notes and vibrato.

    Args:
        phrases: The notes.
        grid: The times of the sixteenths.
        num_frames: Number of frames to return.
        is_rap: Whether the pitch falls within each syllable, without vibrato.
        rng: Random generator for glide, drift and vibrato.
    """
    seconds = np.arange(num_frames) * VOICE_HOP / VOICE_RATE
    notes = [note for phrase in phrases for note in phrase]
    begins = np.array([grid.seconds(0, note.step) for note in notes])
    lengths = np.array([note.num_steps for note in notes]) * grid.step_seconds
    current = np.maximum(np.searchsorted(begins, seconds, side="right") - 1, 0)
    since = np.clip(seconds - begins[current], 0, lengths[current])
    contour = np.array([note.pitch for note in notes])[current]
    if is_rap:
        contour = contour - 1.5 * since / lengths[current]
    else:
        firsts = np.isin(current, np.cumsum([0, *map(len, phrases[:-1])]))
        contour = contour - firsts * rng.uniform(0, 1.5) * np.exp(-since / 0.06)
    glide = np.hanning(2 * int(rng.uniform(5, 9)) + 3)
    padded = np.pad(contour, len(glide) // 2, mode="edge")
    contour = np.convolve(padded, glide / glide.sum(), "valid")
    drift = np.convolve(rng.standard_normal(num_frames), np.hanning(41) / np.sqrt(15), "same")
    contour += 0.08 * drift
    if not is_rap:
        depth = rng.uniform(0.2, 0.55) * np.clip((since - 0.15) / 0.25, 0, 1)
        contour += depth * np.sin(2 * np.pi * rng.uniform(4.8, 6.3) * seconds + 0.5 * np.cumsum(drift) / 40)
    return contour

"""Recordings of words by one speaker, in the layout that training reads: `<folder>/<word>/<speaker>_nohash_<n>.wav`."""

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common import audio, files
from common.audio import formats, listing, segments
from common.corpora import layouts
from common.errors import UserError
from common.files.names import plain_name
from kws.config import SILENCE

SAMPLE_RATE = 16000
# A word is cut out with the pause around it up to this length: the sound of the room is better than silence.
CLIP_SECONDS = 1.0
SEPARATOR = "_nohash_"
# As `common.corpora.folder` and `common.corpora.speech_commands` name them, which load pandas. Where there is the table, only the
# recordings that it lists are used.
TABLE = "metadata.csv"
BACKGROUND_NOISE = "_background_noise_"
# Splits that need a recording of each word, and the words that a model tells apart.
_FEWEST_TAKES, _FEWEST_WORDS = 3, 2
_LONGEST_SPEAKER = 200
# Samples of 16 bits differ less than this from those that they were rounded from.
_ROUNDING = 3 / audio.PCM16_SCALE

# Peaks from here on are clipped, if there are several.
_CLIPPED_PEAK, _FEWEST_CLIPPED = 0.985, 3
_LEAST_SNR_DB, _LEAST_LEVEL_DB = 12.0, -50.0
# Speech that begins or ends closer to an end of the recording may be cut off.
_EDGE_SECONDS = 0.05


class Take(NamedTuple):
    """A recording of a word, judged.

    Attributes:
        problem: What is wrong with it and what to do, in one line; empty if it can be used.
        level_db: Level of the loudest 25 ms of speech in dBFS; the peak if there is no speech.
        snr_db: How far that is above the noise floor, in dB; 0 without speech.
        word: The part with the word, shape `(samples,)`; the whole recording if there is no speech.
    """

    problem: str
    level_db: float
    snr_db: float
    word: np.ndarray


class Folder:
    """The recordings of one speaker in a folder.

    Args:
        path: The folder; it need not exist.
        speaker: Name of the speaker.

    Raises:
        UserError: The speaker cannot be part of a file name, or the folder cannot be used.
    """

    def __init__(self, path: str | Path, speaker: str):
        check_speaker(speaker)
        self.path, self.speaker = Path(path), speaker
        self._known: dict[str, list[np.ndarray]] = {}
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise UserError(f"--output_dir: {self.path} is a file; expected a folder: give another one")
        if (self.path / TABLE).exists():
            raise UserError(
                f"{self.path} has a {TABLE}, so training would not use new recordings; give another --output_dir"
            )
        splits = [name for name in _subfolders(self.path) if layouts.split_of(name)]
        if splits:
            raise UserError(
                f"{self.path} has folders of splits ({layouts.shown(splits)}); give one of them as --output_dir, such as"
                f" {self.path / splits[0]}"
            )
        files.check_writable(self.path)

    def check(self, word: str) -> None:
        """Check before anything is recorded that recordings of a word can be added.

        Raises:
            UserError: Its folder is a file, or cannot be written to.
        """
        path = self.path / word
        if os.path.lexists(path) and not path.is_dir():
            raise UserError(f"{path} is a file; expected a folder: move it or give another --output_dir")
        files.check_writable(path)

    def numbers(self, word: str) -> list[int]:
        """Return the numbers of the recordings of a word by this speaker, of any audio format, sorted."""
        return sorted(number for _, number in self._takes(word))

    def paths(self, word: str) -> list[Path]:
        """Return the recordings of a word by this speaker, by number."""
        return [path for path, _ in sorted(self._takes(word), key=lambda take: take[1])]

    def add(self, word: str, waveform: np.ndarray) -> Path:
        """Write a recording with the next number: 16 kHz, mono, 16 bits.

        The file appears when it is complete, and nothing is overwritten. One process at a time may add recordings to a
        folder, see `common.files.locks`.

        Args:
            word: The word.
            waveform: Shape `(samples,)` at `SAMPLE_RATE`.

        Returns:
            The file.

        Raises:
            UserError: It cannot be written.
        """
        number = max(self.numbers(word), default=-1) + 1
        path = self.path / word / f"{self.speaker}{SEPARATOR}{number}.wav"
        if os.path.lexists(path):
            raise UserError(f"{path} is in the way, and is not a recording; move it or give another --speaker")
        audio.write(path, waveform, SAMPLE_RATE, "PCM_16")
        self._known.pop(word, None)
        return path

    def has(self, word: str, waveform: np.ndarray) -> bool:
        """Whether this speaker's recordings of a word include this one, so that nothing is added twice.

        Args:
            word: The word.
            waveform: Shape `(samples,)` at `SAMPLE_RATE`.
        """
        if word not in self._known:
            self._known[word] = list(self._waveforms(word))
        waveform = np.clip(waveform, -1, 1)
        same = [one for one in self._known[word] if len(one) == len(waveform)]
        return any(np.abs(one - waveform).max(initial=0.0) < _ROUNDING for one in same)

    def lacks(self) -> str:
        """Return what training still lacks in the folder, by all speakers together; empty if nothing."""
        counts = {name: len(listing.find(self.path / name).files) for name in _subfolders(self.path)}
        counts = {name: count for name, count in counts.items() if count and not _is_special(name)}
        few = sorted(name for name, count in counts.items() if count < _FEWEST_TAKES)
        if len(counts) < _FEWEST_WORDS:
            return "another word"
        return f"more of {layouts.shown(few)}" if few else ""

    def words_to_name(self) -> list[str]:
        """Return the words, if training has to be told that the folders are words: they look like something else."""
        names = [name for name in _subfolders(self.path) if not _is_special(name)]
        return sorted(names) if names and layouts.looks_like(names) else []

    def _takes(self, word: str) -> Iterator[tuple[Path, int]]:
        pattern = re.compile(rf"{re.escape(plain_name(self.speaker))}{SEPARATOR}(\d+)")
        folder = self.path / word
        for path in folder.iterdir() if folder.is_dir() else ():
            found = pattern.fullmatch(plain_name(path.stem))
            if found and path.suffix.lower() in formats.AUDIO_SUFFIXES:
                yield path, int(found[1])

    def _waveforms(self, word: str) -> Iterator[np.ndarray]:
        for path in self.paths(word):
            # A damaged file is another one.
            with contextlib.suppress(UserError):
                yield audio.read(path, SAMPLE_RATE)[0]


def judge(waveform: np.ndarray, sample_rate: int = SAMPLE_RATE) -> Take:
    """Check that a recording holds a word that is loud enough, not clipped and complete.

    Args:
        waveform: Shape `(samples,)`, full scale [-1, 1].
        sample_rate: In Hz.
    """
    peak_db = float(20 * np.log10(max(np.abs(waveform).max(initial=0.0), 1e-6)))
    if audio.is_silent(waveform):
        return Take("silence: check that the microphone is on and not muted", peak_db, 0.0, waveform)
    if is_clipped(waveform):
        problem = "too loud, the recording is clipped: move away, or lower the input level"
        return Take(problem, peak_db, 0.0, waveform)
    found = segments.find(waveform, sample_rate)
    if not found:
        return Take("nothing heard: speak louder, or closer to the microphone", peak_db, 0.0, waveform)
    level_db, snr_db = max((one.level_db, one.snr_db) for one in found)
    start, end = found[0].start, found[-1].end
    problem = ""
    if snr_db < _LEAST_SNR_DB or level_db < _LEAST_LEVEL_DB:
        problem = f"too quiet, {snr_db:.0f} dB above the noise: speak louder, or closer to the microphone"
    elif start < _EDGE_SECONDS * sample_rate:
        problem = "cut off at the start: press Enter first, then speak"
    elif end > len(waveform) - _EDGE_SECONDS * sample_rate:
        problem = "cut off at the end: speak sooner, or record longer with --duration_seconds"
    whole = [segments.Segment(start, end, level_db, level_db - snr_db)]
    return Take(problem, level_db, snr_db, segments.cut(waveform, whole, sample_rate, CLIP_SECONDS)[0])


def is_clipped(waveform: np.ndarray) -> bool:
    """Whether several samples are at full scale."""
    return int((np.abs(waveform) >= _CLIPPED_PEAK).sum()) >= _FEWEST_CLIPPED


def check_speaker(speaker: str) -> None:
    """Check that a speaker can be part of a file name.

    Raises:
        UserError: It is empty or too long, or has a slash, a control character or `_nohash_`, or begins with a dot.
    """
    if not speaker or speaker.startswith(".") or "/" in speaker or plain_name(speaker) != speaker:
        raise UserError(f"--speaker: expected a name without slashes that does not begin with a dot, got {speaker!r}")
    # As `common.corpora.speech_commands.speaker_of` reads it; the name may end with "_nohash".
    if f"{speaker}{SEPARATOR}0".partition(SEPARATOR)[0] != speaker:
        raise UserError(f"--speaker: {speaker!r} has {SEPARATOR}, which ends the speaker in a file name; leave it out")
    if len(os.fsencode(speaker)) > _LONGEST_SPEAKER:
        raise UserError(f"--speaker: expected at most {_LONGEST_SPEAKER} bytes; give a shorter name")


def check_words(words: Sequence[str]) -> None:
    """Check that words can be names of folders that training reads.

    Raises:
        UserError: There are none, one is empty or listed twice, or cannot be such a name.
    """
    if not words:
        raise UserError("--words: expected the words to record, such as --words=lights_on,lights_off")
    for word in words:
        if not word or word.startswith(".") or "/" in word or plain_name(word) != word:
            raise UserError(
                f"--words: expected names of folders, without slashes and not beginning with a dot, got {word!r}"
            )
        if _is_special(word):
            raise UserError(f"--words: {word} is a folder of noise, not a word; give another one")
        if layouts.split_of(word):
            raise UserError(f"--words: training takes a folder named {word} for a split; give it another name")
        if words.count(word) > 1:
            raise UserError(f"--words: {word} is listed twice; give each word once")


def _is_special(name: str) -> bool:
    return name in (SILENCE, BACKGROUND_NOISE)


def _subfolders(path: Path) -> Collection[str]:
    return [plain_name(folder.name) for folder in listing.folders(path)] if path.is_dir() else []

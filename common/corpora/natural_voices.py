"""Utterances of the synthesizers with natural voices (Kokoro, Flite), each spoken once and kept as a WAV file.

A neural voice speaks a word in half a second, so a corpus draws at most `NUM_UTTERANCES` of a word and split; further
clips repeat them in other rooms, through other microphones and in other noise.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from common import audio, progress
from common.corpora import kokoro_files, parallel
from common.errors import UserError
from common.synthesis.speech import flite, kokoro

ESPEAK = "espeak"
SYNTHESIZERS: dict[str, ModuleType] = {"kokoro": kokoro, "flite": flite}
# Utterances of a word, by split.
NUM_UTTERANCES = {"train": 100, "validation": 20, "test": 20}
_MANY_UTTERANCES = 20
_CHUNK_UTTERANCES = 4


class Choice(NamedTuple):
    """The synthesizers of a corpus, by name; the folder with the files of Kokoro; whether to download missing ones."""

    names: tuple[str, ...] = (ESPEAK,)
    kokoro_dir: str = ""
    download: bool = False


ESPEAK_ALONE = Choice()


class Utterance(NamedTuple):
    """A text spoken by a voice at a speed: the WAV file of it, and the folder with the files of the synthesizer."""

    synthesizer: str
    text: str
    voice: str
    speed: float
    path: Path
    files: str

    @property
    def speaker(self) -> str:
        """The name of the voice among those of all synthesizers."""
        return f"{self.synthesizer}-{self.voice}"

    @property
    def sex(self) -> str:
        """`F` or `M`."""
        return SYNTHESIZERS[self.synthesizer].sex(self.voice)


class Speakers:
    """The voices of the chosen synthesizers in a language."""

    def __init__(self, choice: Choice, language: str, root: Path):
        """Check that the synthesizers are installed.

        Args:
            choice: The synthesizers.
            language: A language code or an accent.
            root: Folder of synthetic speech; each synthesizer keeps its utterances in a folder in it.

        Raises:
            UserError: A synthesizer is unknown, not installed, or does not speak the language; or none has voices that
                training does not hear.
        """
        self._choice, self._root = choice, root
        self._voices = {}
        for name in choice.names:
            if name != ESPEAK:
                module = SYNTHESIZERS[name]
                self._voices[name] = module.voices(language)
                self._prepare(name)
        if ESPEAK not in choice.names and not any(voices["test"] for voices in self._voices.values()):
            raise UserError(f"--synthesizers={','.join(choice.names)}: all voices are for training; add espeak")

    def _prepare(self, synthesizer: str) -> None:
        if synthesizer == "kokoro":
            kokoro_files.prepare(self._folder(synthesizer), fetch=self._choice.download)
        else:
            flite.check_installed()

    def draw(self, split: str, text: str, number: int) -> Utterance | None:
        """Draw the synthesizer, voice, speed and intonation of a clip.

        Args:
            split: The split of the clip.
            text: A word, or phoneme code of espeak-ng.
            number: Number of the clip; the synthesizers take turns.

        Returns:
            The utterance; None if it is the turn of espeak-ng.
        """
        # Flite has no way to speak the phoneme code of espeak-ng.
        names = [
            name
            for name in self._choice.names
            if name == ESPEAK or (self._voices[name][split] and not (name == "flite" and text.startswith("[[")))
        ]
        if not names:
            return None
        turn, place = divmod(number, len(names))
        if names[place] == ESPEAK:
            return None
        return self._utterance(names[place], split, text, turn % NUM_UTTERANCES[split])

    def _utterance(self, synthesizer: str, split: str, text: str, number: int) -> Utterance:
        module = SYNTHESIZERS[synthesizer]
        digest = hashlib.sha256(f"{synthesizer}/{split}/{text}/{number}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        voice, speed = module.draw_voice(self._voices[synthesizer][split], rng), float(rng.choice(module.SPEEDS))
        spoken = text + str(rng.choice(module.ENDINGS))
        name = f"{voice}-{speed:g}-{hashlib.sha256(spoken.encode()).hexdigest()[:12]}.wav"
        path = self._root / synthesizer / name
        return Utterance(synthesizer, spoken, voice, speed, path, str(self._folder(synthesizer)))

    def _folder(self, synthesizer: str) -> Path:
        chosen = self._choice.kokoro_dir if synthesizer == "kokoro" else ""
        return Path(chosen or SYNTHESIZERS[synthesizer].FOLDER)


def speak(utterances: Sequence[Utterance]) -> None:
    """Speak the utterances that have no file yet.

    Raises:
        UserError: A synthesizer cannot speak a text.
    """
    missing = list({utterance.path: utterance for utterance in utterances if not utterance.path.exists()}.values())
    if missing:
        with progress.bar(len(missing), "natural voices", "utterance", 0) as meter:
            for _ in parallel.stripes(_write, missing, _MANY_UTTERANCES, _CHUNK_UTTERANCES):
                meter.update()


def load(utterance: Utterance, sample_rate: int) -> np.ndarray:
    """Read an utterance, float32, shape `(samples,)`."""
    return audio.read(utterance.path, sample_rate)[0]


def _write(utterance: Utterance) -> None:
    module = SYNTHESIZERS[utterance.synthesizer]
    waveform = module.synthesize(utterance.text, utterance.voice, utterance.speed, utterance.files)
    if not np.isfinite(waveform).all() or not np.abs(waveform).max(initial=0):
        raise UserError(f'{utterance.synthesizer} speaks nothing for "{utterance.text}"; use espeak for it')
    audio.write(utterance.path, audio.at_peak(waveform, 0.9), module.SAMPLE_RATE, "PCM_16")

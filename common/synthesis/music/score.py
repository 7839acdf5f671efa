"""Shared parts of all song styles: settings, a grid of sixteenths, a mixing stage per stem, and a drum kit."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from common.synthesis.music import drums, instruments

STEPS = 16  # sixteenths per bar
NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
# The drum fill in the second half of a bar: piece of the kit and sixteenth of the hit.
FILL = (("snare", 8), ("snare", 10), ("tom", 11), ("tom", 12), ("floor tom", 13), ("floor tom", 14), ("snare", 15))
_KIT_LEVELS = {"kick": 0.9, "snare": 1.0, "hat": 0.35, "open hat": 0.35, "tom": 0.7, "floor tom": 0.7, "crash": 0.5}
_KIT_PANS = {"hat": 0.3, "open hat": 0.3, "tom": -0.3, "floor tom": 0.5, "crash": -0.5}


class Settings(NamedTuple):
    """The settings of all songs of a folder."""

    folder: Path
    style: str
    language: str
    seconds: float
    sample_rate: int
    num_channels: int
    seed: int


class Song(NamedTuple):
    """A song to generate; `seed` determines it. Without a voice, accent, variant and sex are empty."""

    settings: Settings
    number: int
    split: str
    accent: str
    variant: str
    sex: str
    seed: int

    @property
    def track(self) -> str:
        """Name of the song and of its folder."""
        return f"song_{self.number:04d}"

    @property
    def folder(self) -> Path:
        """Folder of the song."""
        return self.settings.folder / self.track

    @property
    def singer(self) -> str:
        """Name of the voice; empty if there is none."""
        return f"{self.accent}+{self.variant}" if self.variant else ""


class Stage:
    """Mixes the notes of a stem; a note is rendered at most a few times and then reused."""

    _TAKES = 3

    def __init__(self, song: Song, rng: np.random.Generator):
        self.samples = np.zeros((num_samples(song), song.settings.num_channels))
        # Rendering has its own random generator, so that the composition does not depend on the sample rate.
        self._rate, self._rng = song.settings.sample_rate, rng.spawn(1)[0]
        self._takes = {}

    def play(
        self, render: Callable, arguments: dict, seconds: float, velocity: float = 1.0, level: float = 1.0, pan=0.0
    ) -> None:
        """Add a note, newly rendered or reused.

        Args:
            render: A function of `common.synthesis.music.instruments` or `common.synthesis.music.drums`.
            arguments: Its arguments except sample rate, generator and velocity.
            seconds: Start of the note.
            velocity: 0 to 1; soft notes differ in timbre, not only in level.
            level: Amplitude factor.
            pan: -1 (left) to 1 (right).
        """
        struck = 0.6 if velocity < 0.75 else 1.0
        takes = self._takes.setdefault((render, *arguments.items(), struck), [])
        if len(takes) < self._TAKES:
            takes.append(render(**arguments, sample_rate=self._rate, rng=self._rng, velocity=struck))
        self.add(takes[self._rng.integers(len(takes))] * (velocity / struck * level), seconds, pan)

    def add(self, waveform: np.ndarray, seconds: float, pan: float = 0.0) -> None:
        """Add a waveform of shape `(samples,)`; parts outside the song are cut off."""
        begin = round(seconds * self._rate)
        waveform = waveform[max(0, -begin) :]
        begin = max(0, begin)
        waveform = waveform[: max(0, len(self.samples) - begin)]
        self.samples[begin : begin + len(waveform)] += waveform[:, np.newaxis] * _gains(pan, self.samples.shape[1])


def _gains(pan: float, num_channels: int) -> np.ndarray:
    """Return the gain of each channel for equal-power panning."""
    angle = (pan + 1) * np.pi / 4
    return math.sqrt(2) * np.array([np.cos(angle), np.sin(angle)]) if num_channels == 2 else np.ones(1)


class Grid(NamedTuple):
    """The times of the sixteenths of a song; with swing, every second one is late."""

    tempo_bpm: float
    swing: float
    num_bars: int

    @property
    def step_seconds(self) -> float:
        """Length of a sixteenth."""
        return 15 / self.tempo_bpm

    def seconds(self, bar: int, step: int) -> float:
        """Return the time of a sixteenth, counted from the start of a bar; it may be in a later bar."""
        late = self.swing * (step % 2 == 1)
        return (bar * STEPS + step + late) * self.step_seconds


def draw_grid(song: Song, lowest_bpm: float, highest_bpm: float, swing: float, rng: np.random.Generator) -> Grid:
    """Draw the tempo of a song, and return its grid with enough bars to fill the song."""
    tempo_bpm = round(float(rng.uniform(lowest_bpm, highest_bpm)), 1)
    return Grid(tempo_bpm, swing, math.ceil(song.settings.seconds / (60 / tempo_bpm * 4)))


class Drummer:
    """Plays a random drum kit; hits are a few milliseconds early or late."""

    def __init__(self, song: Song, rng: np.random.Generator):
        self.stage = Stage(song, rng)
        self._rng = rng
        self._levels = {piece: level * rng.uniform(0.75, 1.25) for piece, level in _KIT_LEVELS.items()}
        hat_hz, tom_hz = rng.uniform(350, 500), rng.uniform(100, 150)
        kick = {
            "pitch_hz": rng.uniform(42, 60),
            "decay_seconds": rng.uniform(0.15, 0.4),
            "click": rng.uniform(0.1, 0.5),
        }
        snare = {
            "pitch_hz": rng.uniform(160, 240),
            "decay_seconds": rng.uniform(0.15, 0.35),
            "wires": rng.uniform(0.4, 0.9),
        }
        self._kit = {
            "kick": (drums.kick, kick),
            "snare": (drums.snare, snare),
            "hat": (drums.hi_hat, {"pitch_hz": hat_hz, "decay_seconds": rng.uniform(0.04, 0.1)}),
            "open hat": (drums.hi_hat, {"pitch_hz": hat_hz, "decay_seconds": rng.uniform(0.25, 0.5)}),
            "tom": (drums.tom, {"pitch_hz": tom_hz, "decay_seconds": rng.uniform(0.25, 0.45)}),
            "floor tom": (drums.tom, {"pitch_hz": 0.7 * tom_hz, "decay_seconds": rng.uniform(0.3, 0.6)}),
            "crash": (drums.crash, {"pitch_hz": rng.uniform(280, 400), "decay_seconds": rng.uniform(1, 2)}),
        }

    def hit(self, piece: str, seconds: float, accent: float = 1.0) -> None:
        """Hit a piece of the kit at the given time; an accent below 1 is softer."""
        velocity = accent * self._rng.uniform(0.8, 1.0)
        late = self._rng.normal(0, 0.003)
        self.stage.play(*self._kit[piece], seconds + late, velocity, self._levels[piece], _KIT_PANS.get(piece, 0.0))


def num_samples(song: Song) -> int:
    """Return the length of a song in samples."""
    return round(song.settings.seconds * song.settings.sample_rate)


def rms(samples: np.ndarray) -> float:
    """Return the root of the mean square of all samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def in_room(stage: Stage, song: Song, rng: np.random.Generator, most: float) -> np.ndarray:
    """Return the mix of a stage, shape `(samples, channels)`, with random reverberation.

    The energy of the reverberation is at most `most` times that of the direct sound.
    """
    decay_seconds, level = rng.uniform(0.3, 1.2), most * rng.uniform(0.1, 1)
    return instruments.room(stage.samples, song.settings.sample_rate, rng.spawn(1)[0], decay_seconds, level)

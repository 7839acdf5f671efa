"""Songs of the style `metal`: riffs of palm-muted power chords over a double kick."""

import math
from typing import NamedTuple

import numpy as np

from common.synthesis.music import instruments
from common.synthesis.music.instruments import midi_to_hz
from common.synthesis.music.score import FILL, NOTE_NAMES, STEPS, Drummer, Grid, Song, Stage, draw_grid, in_room

# Riff patterns of one beat: m is a muted stroke, X a power chord that rings until the next stroke.
_MUTED_CELLS = ("m-mm", "m-mm", "mmm-", "mmmm", "m-m-")
_OPEN_CELLS = ("X---", "X-mm", "X-X-", "mmX-")
_RIFF_DEGREES = (0, 0, 1, 2, 3, 4, 5, 6)
_RIFF_SCALES = {
    "aeolian": (0, 2, 3, 5, 7, 8, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "harmonic": (0, 2, 3, 5, 7, 8, 11),
}
_SNARES = ("----x-------x---", "----x-------x---", "--------x-------", "--x---x---x---x-")


class _Stroke(NamedTuple):
    """A stroke of guitars and bass: start and length in sixteenths, semitones above the lowest note, muted or not."""

    step: int
    num_steps: int
    interval: int
    muted: bool


def play(song: Song) -> tuple[dict[str, np.ndarray], dict]:
    """Compose and render a song.

    Returns:
        The stems `drums`, `bass` and `other`, each of shape `(samples, channels)`, before balancing. And a description
        for `song.json`.
    """
    rng = np.random.default_rng([1, song.seed])
    grid = draw_grid(song, 90, 200, 0.0, rng)
    lowest = int(rng.integers(38, 43))
    scale = str(rng.choice(tuple(_RIFF_SCALES)))
    riffs = [_draw_riff(_RIFF_SCALES[scale], rng) for _ in range(2)]
    # Riffs of two bars in the order A A B A.
    strokes = [
        stroke._replace(step=2 * number * STEPS + stroke.step)
        for number in range(math.ceil(grid.num_bars / 2))
        for stroke in riffs[(0, 0, 1, 0)[number % 4]]
    ]
    stems = {
        "drums": _play_drums(song, grid, strokes),
        "bass": _play_bass(song, grid, strokes, lowest - 12),
        "other": _play_guitars(song, grid, strokes, lowest),
    }
    return stems, {"tempo_bpm": grid.tempo_bpm, "key": f"{NOTE_NAMES[lowest % 12]} {scale}"}


def _draw_riff(scale: tuple[int, ...], rng: np.random.Generator) -> list[_Stroke]:
    """Compose two bars that differ in their second half only; muted strokes are on the lowest string."""
    cells = [*rng.choice(_MUTED_CELLS, 2), *rng.choice(_OPEN_CELLS, 1)]
    bar = [cells[number] for number in rng.permutation([0, 1, 2, int(rng.integers(3))])]
    marks = "".join([*bar, *bar[:2], *rng.choice(cells, 2)])
    starts = [step for step, mark in enumerate(marks) if mark != "-"]
    return [
        _Stroke(step, end - step, 0 if marks[step] == "m" else scale[rng.choice(_RIFF_DEGREES)], marks[step] == "m")
        for step, end in zip(starts, [*starts[1:], 2 * STEPS], strict=True)
    ]


def _play_guitars(song: Song, grid: Grid, strokes: list[_Stroke], lowest: int) -> np.ndarray:
    """Play the riff on two guitars, panned left and right, each with its own amplifier."""
    rng = np.random.default_rng([4, song.seed])
    stage, rate = Stage(song, rng), song.settings.sample_rate
    drive, presence_hz = rng.uniform(15, 50), rng.uniform(1800, 3200)
    for pan in (-0.9, 0.9):
        strings = Stage(song._replace(settings=song.settings._replace(num_channels=1)), rng)
        for stroke in strokes:
            arguments = {
                "pitch_hz": midi_to_hz(lowest + stroke.interval),
                "seconds": 0.95 * stroke.num_steps * grid.step_seconds,
                "muted": stroke.muted,
            }
            late = rng.normal(0, 0.002)
            strings.play(
                instruments.power_chord_strings, arguments, grid.seconds(0, stroke.step) + late, rng.uniform(0.8, 1)
            )
        amplifier = (drive * rng.uniform(0.8, 1.2), presence_hz * rng.uniform(0.9, 1.1))
        stage.add(instruments.guitar_amplifier(strings.samples[:, 0], rate, *amplifier), 0.0, pan)
    return in_room(stage, song, rng, 0.03)


def _play_bass(song: Song, grid: Grid, strokes: list[_Stroke], lowest: int) -> np.ndarray:
    rng = np.random.default_rng([3, song.seed])
    stage, sound = Stage(song, rng), {"brightness": rng.uniform(0.7, 1.0)}
    for stroke in strokes:
        arguments = {
            "pitch_hz": midi_to_hz(lowest + stroke.interval),
            "seconds": 0.9 * stroke.num_steps * grid.step_seconds,
            "decay_seconds": 0.4 if stroke.muted else 2.0,
            **sound,
        }
        late = rng.normal(0, 0.002)
        stage.play(instruments.bass, arguments, grid.seconds(0, stroke.step) + late, rng.uniform(0.8, 1))
    return stage.samples


def _play_drums(song: Song, grid: Grid, strokes: list[_Stroke]) -> np.ndarray:
    """Play a kick that follows the guitars or plays sixteenths, a snare, a cymbal on every beat, and fills."""
    rng = np.random.default_rng([2, song.seed])
    drummer = Drummer(song, rng)
    runs = bool(rng.random() < 0.3)
    snare = _SNARES[rng.integers(len(_SNARES))]
    cymbal = str(rng.choice(("hat", "open hat", "crash")))
    kicks = range(grid.num_bars * STEPS) if runs else [stroke.step for stroke in strokes]
    for step in kicks:
        drummer.hit("kick", grid.seconds(0, step), 1.0 if step % 4 == 0 else 0.85)
    for bar in range(grid.num_bars):
        has_fill = bar % 4 == 3
        if bar % 2 == 0:
            drummer.hit("crash", grid.seconds(bar, 0))
        for step, mark in enumerate(snare):
            if has_fill and step >= FILL[0][1]:
                break
            if mark == "x":
                drummer.hit("snare", grid.seconds(bar, step))
            if step % 4 == 0:
                drummer.hit(cymbal, grid.seconds(bar, step), 0.8)
        if has_fill:
            for piece, step in FILL:
                drummer.hit(piece, grid.seconds(bar, step), 0.6 + 0.03 * step)
    return in_room(drummer.stage, song, rng, 0.1)

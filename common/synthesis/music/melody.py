"""Random melodies that follow a key and a chord progression."""

import math
from typing import NamedTuple

import numpy as np

from common.synthesis.music.score import STEPS, Grid

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


class Tune(NamedTuple):
    """Grid, key and chord progression of a pop song, shared by all instruments."""

    grid: Grid
    tonic: int
    mode: str
    progression: tuple[int, ...]
    has_sevenths: bool

    def chord(self, bar: int) -> list[int]:
        """Return the pitch classes of the chord of a bar, root first."""
        degree = self.progression[bar % len(self.progression)]
        return [self.pitch(degree + third) % 12 for third in (0, 2, 4, 6)[: 4 if self.has_sevenths else 3]]

    def pitch(self, degree: int) -> int:
        """Return the MIDI note of a degree of the scale, counted from the tonic (0 to 11)."""
        octave, degree = divmod(degree, 7)
        return self.tonic + 12 * octave + SCALES[self.mode][degree]


class Note(NamedTuple):
    """A note of a melody: start and length in sixteenths, and MIDI number."""

    step: int
    num_steps: int
    pitch: float


def draw_phrases(
    tune: Tune, center: float, note_seconds: float, rest_share: float, rng: np.random.Generator
) -> list[list[Note]]:
    """Compose a melody in phrases of two bars that end with a rest; two out of three phrases share their rhythm.

    Args:
        tune: Scale and chords.
        center: MIDI note around which the melody moves.
        note_seconds: Typical length of a note; the shortest are 40 % of it.
        rest_share: Probability that a phrase is silent; never the first one, and never two in a row.
        rng: Random generator.
    """
    lengths = np.array([1, 2, 3, 4, 6, 8])
    longer = np.log(lengths * tune.grid.step_seconds / note_seconds)
    weights = np.exp(-0.5 * (longer / 0.5) ** 2) * np.array([1, 1, 0.4, 1, 0.4, 1]) * (longer > math.log(0.4))
    rhythms = [_draw_rhythm(lengths, weights / weights.sum(), rng) for _ in range(2)]
    degrees = [degree for degree in range(77) if abs(tune.pitch(degree) - center) <= 8]
    phrases, is_silent = [], True
    for number in range(math.ceil(tune.grid.num_bars / 2)):
        is_silent = not is_silent and rng.random() < rest_share
        place = len(degrees) // 2 + int(rng.integers(-1, 2))
        phrase = []
        for step, num_steps in rhythms[(0, 1, 0)[number % 3]]:
            drift = (len(degrees) // 2 - place) / len(degrees)
            place = int(np.clip(place + round(rng.normal(1.5 * drift, 1.3)), 0, len(degrees) - 1))
            if step % 8 == 0 or num_steps >= 4:
                place = _nearest_of_chord(degrees, place, tune, tune.chord(2 * number + step // STEPS))
            phrase.append(Note(2 * number * STEPS + step, num_steps, tune.pitch(degrees[place])))
        if not is_silent:
            phrases.append(phrase)
    return phrases


def _draw_rhythm(lengths: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draw the starts and lengths of the notes of two bars, in sixteenths."""
    step, rhythm = int(rng.choice((0, 0, 2, 4))), []
    end = 2 * STEPS - int(rng.choice((2, 4, 6)))
    shortest = lengths[np.flatnonzero(weights)[0]]
    while step < end:
        num_steps = min(int(rng.choice(lengths, p=weights)), end - step)
        # A remainder too short to be sung is added to the previous note.
        if end - step - num_steps < shortest:
            num_steps = end - step
        rhythm.append((step, num_steps))
        step += num_steps
    return rhythm


def _nearest_of_chord(degrees: list[int], place: int, tune: Tune, chord: list[int]) -> int:
    places = [number for number, degree in enumerate(degrees) if tune.pitch(degree) % 12 in chord]
    return min(places, key=lambda number: abs(number - place))

"""Melodies: chords and scale, and notes that follow them."""

import itertools

import numpy as np

from common.synthesis.music import melody
from common.synthesis.music.score import STEPS, Grid


def test_melodies_follow_the_scale():
    grid = Grid(100.0, 0.0, 4)
    tune = melody.Tune(grid, 2, "major", (0, 4, 5, 3), False)
    rng = np.random.default_rng(0)
    phrases = [phrase for _ in range(20) for phrase in melody.draw_phrases(tune, 64.0, 0.4, 0.15, rng)]
    notes = [note for phrase in phrases for note in phrase]
    assert {note.pitch % 12 for note in notes} == {(2 + degree) % 12 for degree in (0, 2, 4, 5, 7, 9, 11)}
    assert max(abs(note.pitch - 64) for note in notes) <= 8
    assert min(note.num_steps for note in notes) * grid.step_seconds > 0.16


def test_chords_are_thirds_of_the_scale():
    tune = melody.Tune(Grid(100.0, 0.0, 4), 9, "minor", (0, 5), False)
    assert tune.chord(0) == tune.chord(2) == [9, 0, 4]
    assert tune.chord(1) == [5, 9, 0]
    assert tune._replace(has_sevenths=True).chord(0) == [9, 0, 4, 7]
    assert [tune.pitch(degree) for degree in (0, 2, 7, 14)] == [9, 12, 21, 33]


def test_long_notes_are_of_the_chord_and_phrases_end_with_a_rest(rng):
    tune = melody.Tune(Grid(100.0, 0.0, 24), 2, "major", (0, 4, 5, 3), False)
    phrases = melody.draw_phrases(tune, 64.0, 0.4, 0.15, rng)
    assert 6 <= len(phrases) <= 12 and phrases[0][0].step < 2 * STEPS
    for phrase in phrases:
        assert all(first.step + first.num_steps == second.step for first, second in itertools.pairwise(phrase))
        assert (phrase[-1].step + phrase[-1].num_steps) % (2 * STEPS) in (26, 28, 30)
        for note in phrase:
            if note.num_steps >= 4:
                assert note.pitch % 12 in tune.chord(note.step // STEPS)

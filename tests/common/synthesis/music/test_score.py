"""What songs of every style have: the grid, the stage, the drum kit."""

import numpy as np
import pytest

from common.synthesis.music import drums, score
from tests.common.synthesis.music.sounds import song


def test_every_second_sixteenth_may_be_late():
    grid = score.Grid(120.0, 0.2, 2)
    assert grid.step_seconds == 0.125
    np.testing.assert_allclose([grid.seconds(0, step) for step in range(4)], [0, 0.15, 0.25, 0.4])
    assert grid.seconds(1, 2) == grid.seconds(0, 18) == pytest.approx(2.25)


def test_the_bars_of_a_grid_fill_the_song(rng):
    for _ in range(20):
        grid = score.draw_grid(song(seconds=10.0), 80, 160, 0.0, rng)
        assert 80 <= grid.tempo_bpm <= 160
        assert grid.seconds(grid.num_bars - 1, 0) < 10 <= grid.seconds(grid.num_bars, 0)


def test_a_song_has_a_name_and_a_voice():
    pop, metal = song(), song("metal")
    assert (pop.track, pop.singer, metal.singer) == ("song_0001", "en-gb+f1", "")
    assert pop.folder == pop.settings.folder / "song_0001"


def test_what_lies_outside_the_song_is_cut_off(rng):
    stage = score.Stage(song(seconds=1.0, sample_rate=10), rng)
    for seconds in (-0.2, 0.7, -5.0, 5.0):
        stage.add(np.arange(1.0, 6), seconds)
    assert stage.samples[:, 0].tolist() == [3, 4, 5, 0, 0, 0, 0, 1, 2, 3]


@pytest.mark.parametrize(("pan", "gains"), [(-1.0, (2**0.5, 0)), (0.0, (1, 1)), (1.0, (0, 2**0.5))])
def test_power_is_the_same_from_left_to_right(rng, pan, gains):
    stage = score.Stage(song(seconds=1.0, sample_rate=10, channels=2), rng)
    stage.add(np.ones(10), 0.0, pan)
    np.testing.assert_allclose(stage.samples, np.tile(gains, (10, 1)), atol=1e-12)


def test_a_note_is_rendered_in_a_few_takes(rng):
    struck = []

    def render(pitch_hz, sample_rate, rng, velocity):
        struck.append((pitch_hz, velocity))
        return np.full(1, velocity)

    stage = score.Stage(song(seconds=1.0, sample_rate=100), rng)
    for number in range(40):
        stage.play(render, {"pitch_hz": 100 + number % 2}, number / 100, 0.5 + 0.4 * (number >= 20), 0.5)
    assert sorted(struck) == [(pitch, velocity) for pitch in (100, 101) for velocity in (0.6, 1.0) for _ in range(3)]
    np.testing.assert_allclose(stage.samples[:40, 0], [0.25] * 20 + [0.45] * 20)


def test_a_drummer_hits_within_milliseconds_and_softer_where_told(rng):
    drummer = score.Drummer(song(seconds=2.0), rng)
    drummer.hit("kick", 0.5)
    drummer.hit("kick", 1.5, 0.4)
    hits = np.abs(drummer.stage.samples[:, 0])
    assert np.flatnonzero(hits)[0] == pytest.approx(8000, abs=160)
    assert 0 < hits[16000:].max() < 0.6 * hits[:16000].max()


def test_a_kit_has_every_piece_of_a_fill(rng):
    drummer = score.Drummer(song(seconds=2.0, sample_rate=8000), rng)
    for piece, step in score.FILL:
        before = drummer.stage.samples.copy()
        drummer.hit(piece, step / 16)
        assert np.any(drummer.stage.samples != before)
    assert {"snare", "tom", "floor tom"} == {piece for piece, _ in score.FILL}
    assert all(8 <= step < score.STEPS for _, step in score.FILL)


def test_a_room_is_quieter_than_what_it_holds(rng):
    stage = score.Stage(song(seconds=2.0, channels=2), rng)
    stage.play(drums.snare, {}, 0.5)
    wet = score.in_room(stage, song(seconds=2.0, channels=2), rng, 0.1)
    assert wet.shape == (32000, 2) and np.abs(wet[:7900]).max() < 1e-6
    assert 0 < score.rms(wet - stage.samples) < 0.4 * score.rms(stage.samples)


def test_level_is_the_root_of_the_mean_square():
    assert score.rms(np.array([[3, 4], [-3, -4]], np.int16)) == pytest.approx(12.5**0.5)

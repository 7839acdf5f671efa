"""Songs of the style `pop`."""

import numpy as np
import pytest

from common.synthesis.music import instruments, pop
from common.synthesis.music.melody import Tune
from common.synthesis.music.score import STEPS, Grid, rms
from tests.common.synthesis.music.sounds import pitch_hz, song, vowels


@pytest.fixture(scope="module")
def played():
    """The same song at two rates: stems, and what it is."""
    return [pop.play(song(sample_rate=rate), vowels()) for rate in (8000, 11025)]


def test_a_song_has_all_stems_and_is_described(played):
    stems, facts = played[0]
    assert list(stems) == ["vocals", "drums", "bass", "other"]
    for samples in stems.values():
        assert samples.shape == (32000, 1) and rms(samples) > 1e-3
    assert set(facts) == {"tempo_bpm", "key", "chords", "delivery", "instruments"}
    assert 72 <= facts["tempo_bpm"] <= 150 and len(facts["chords"]) == 4 and len(facts["instruments"]) >= 2


def test_a_song_is_the_same_at_another_rate(played):
    (first, facts), (second, same) = played
    assert facts == same
    # Loud and soft at the same times; what sustains chords has no such times.
    for stem in ("vocals", "drums", "bass"):
        levels = [np.sqrt(np.square(stems[stem]).reshape(20, -1).mean(axis=1)) for stems in (first, second)]
        assert np.corrcoef(levels)[0, 1] > 0.9


def test_the_bass_plays_the_roots_of_the_chords(monkeypatch):
    monkeypatch.setattr(pop, "_BASS_LINES", ("0---------------",))
    tune = Tune(Grid(120.0, 0.0, 2), 4, "minor", (0, 3), False)
    line = pop._play_bass(song(), tune)[:, 0]
    for bar, root in enumerate((28, 33)):
        asked_hz = instruments.midi_to_hz(root)
        note = line[bar * 32000 + 1000 : (bar + 1) * 32000 - 4000]
        assert abs(1200 * np.log2(pitch_hz(note, 16000, asked_hz) / asked_hz)) < 10


def test_patterns_are_whole_bars():
    rhythms = [*(line for beat in pop._BEATS for line in beat), *pop._BASS_LINES, *pop._CHORD_RHYTHMS]
    assert all(len(rhythm) == STEPS for rhythm in rhythms)

"""Singing: words on the notes of a melody, their pitch and their time."""

import numpy as np
import pytest

from common.synthesis.music import singing, voice
from common.synthesis.music.instruments import midi_to_hz
from common.synthesis.music.melody import Note, Tune
from common.synthesis.music.score import Grid
from common.synthesis.music.voice import VOICE_HOP, VOICE_RATE
from tests.common.synthesis.music.sounds import song, vowels


def _sung(monkeypatch, is_rap):
    """Sing with buzzing vowels for 6 s; returns the waveform, at the voice's rate, and the pitch it was asked for."""
    asked = []
    contour = singing._pitch_contour
    monkeypatch.setattr(singing, "_pitch_contour", lambda *a: (asked.append(contour(*a)), asked[0])[1])
    monkeypatch.setattr(singing, "_RAP_SHARE", float(is_rap))
    tune = Tune(Grid(100.0, 0.0, 3), 2, "major", (0, 4, 5, 3), False)
    waveform, was_rap = singing.sing(song(seconds=6.0, sample_rate=VOICE_RATE), tune, vowels())
    assert was_rap == is_rap and waveform.shape == (6 * VOICE_RATE, 1)
    return waveform[:, 0], midi_to_hz(asked[0])


@pytest.mark.parametrize("is_rap", [False, True])
def test_the_voice_has_the_pitch_of_its_melody(monkeypatch, is_rap):
    waveform, asked_hz = _sung(monkeypatch, is_rap)
    asked_hz = np.interp(np.arange(len(waveform)) / VOICE_HOP, np.arange(len(asked_hz)), asked_hz)
    detunings_cents, levels = np.arange(-120, 121, 15), []
    for detuning in detunings_cents:
        turn = np.exp(-2j * np.pi / VOICE_RATE * np.cumsum(asked_hz * 2 ** (detuning / 1200)))
        # Harmonics that are where they ought to be stand still, and so survive a mean over a twentieth of a second.
        still, level = waveform * turn, 0.0
        for _ in range(2, 6):
            still = still * turn
            level += np.square(np.abs(still[: len(still) // 1100 * 1100].reshape(-1, 1100).mean(axis=1))).sum()
        levels.append(level)
    assert abs(detunings_cents[np.argmax(levels)]) <= 15
    assert max(levels) > 2 * max(levels[0], levels[-1])


def test_held_notes_have_vibrato_and_rap_has_none():
    grid, held = Grid(100.0, 0.0, 4), [[Note(0, 32, 60.0)]]
    for is_rap in (False, True):
        for seed in range(4):
            contour = singing._pitch_contour(held, grid, 900, is_rap, np.random.default_rng(seed))[200:900]
            wave = contour - np.polyval(np.polyfit(np.arange(700), contour, 1), np.arange(700))
            power = np.abs(np.fft.rfft(wave * np.hanning(700), 8192)) ** 2
            rate_hz = np.fft.rfftfreq(8192, VOICE_HOP / VOICE_RATE)[power.argmax()]
            if is_rap:
                assert np.abs(wave).max() < 0.3
            else:
                assert 4.5 < rate_hz < 6.6 and 0.2 < wave.std() * np.sqrt(2) < 0.7


def test_vowels_begin_on_their_notes():
    grid, rng = Grid(100.0, 0.0, 2), np.random.default_rng(0)
    frames = voice.speech_frames(vowels()["two"])
    word = singing._Word(frames, voice.syllable_nuclei(frames))
    line = singing._VocalLine(5.0)
    line.place([(word, [Note(4, 6, 60.0), Note(10, 6, 62.0)])], grid, rng)
    seconds = np.arange(len(line.gain)) * VOICE_HOP / VOICE_RATE
    voiced = (line.voicing > 0.5) & (line.gain > 0)
    begins = seconds[1:][voiced[1:] & ~voiced[:-1]]
    np.testing.assert_allclose(begins, [0.6, 1.5], atol=0.06)
    assert seconds[voiced].max() == pytest.approx(2.4, abs=0.06)
    # The consonants are as short as they were: the vowels are held.
    assert (~voiced[(seconds > 0.7) & (seconds < 1.5)]).sum() * VOICE_HOP / VOICE_RATE < 0.12


def test_a_word_of_more_syllables_than_notes_is_sung_all_the_same():
    frames = voice.speech_frames(vowels()["two"])
    word = singing._Word(frames, voice.syllable_nuclei(frames))
    text = singing._set_words([Note(0, 4, 60.0)], [word], np.random.default_rng(0))
    assert len(text) == 1 and len(text[0][1]) == 1
    line = singing._VocalLine(2.0)
    line.place(text, Grid(120.0, 0.0, 1), np.random.default_rng(0))
    assert (line.gain > 0).mean() > 0.1 and np.isfinite(line.cepstrum).all()


def test_other_languages_sing_numbers(rng):
    assert set(singing.draw_words("en-gb", rng)) <= set(singing._WORDS.split())
    assert all(word.isdigit() for word in singing.draw_words("es-419", rng))

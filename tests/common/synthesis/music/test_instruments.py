"""Instruments: their pitch, their band, and what differs between notes."""

import numpy as np
import pytest
from scipy.signal import butter, hilbert, sosfilt

from common.synthesis.music import instruments
from tests.common.synthesis.music.sounds import (
    RATES,
    assert_clean,
    assert_no_two_alike,
    cents,
    draw,
    pitch_hz,
    spectrum,
)

NOTES = {
    "bass": instruments.bass,
    "plucked_string": instruments.plucked_string,
    "electric_piano": instruments.electric_piano,
    "organ": instruments.organ,
    "pad": instruments.pad,
    "lead": instruments.lead,
    "power_chord": instruments.power_chord,
}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", NOTES)
def test_every_note_is_clean_and_as_loud_as_its_velocity(name, rate):
    for velocity in (0.3, 1.0):
        assert_clean(draw(NOTES[name], rate, 196.0, 0.3, velocity=velocity), velocity)


@pytest.mark.parametrize("name", NOTES)
def test_no_two_notes_are_the_same_but_under_the_same_seed(name):
    assert_no_two_alike(NOTES[name], 196.0, 0.3)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", NOTES)
def test_notes_have_the_pitch_that_was_asked_for(name, rate):
    for asked_hz in (55.0, 92.5) if name in ("bass", "power_chord") else (146.83, 329.63, 987.77):
        note = draw(NOTES[name], rate, asked_hz, 1.0)
        # A pad is three tones, 7 cents apart, and the lead swings about its pitch.
        assert abs(cents(pitch_hz(note, rate, asked_hz), asked_hz)) < (12 if name in ("pad", "lead") else 8)


def test_the_lead_has_vibrato():
    note = draw(instruments.lead, 16000, 440.0, 1.5)
    fundamental = hilbert(sosfilt(butter(4, (300, 600), "bandpass", fs=16000, output="sos"), note))
    pitches_hz = np.diff(np.unwrap(np.angle(fundamental))) * 16000 / (2 * np.pi)
    # Means of eleven periods, which the second harmonic leaves alone.
    pitches_hz = np.convolve(pitches_hz, np.ones(400) / 400, "same")[8000:22000]
    wave = cents(pitches_hz, 440.0) - np.median(cents(pitches_hz, 440.0))
    assert 2.5 < np.abs(wave).max() < 20
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), 2**17)) ** 2
    rates_hz = np.fft.rfftfreq(2**17, 1 / 16000)
    assert 4 < rates_hz[rates_hz > 2][power[rates_hz > 2].argmax()] < 7.5


@pytest.mark.parametrize("name", ["bass", "electric_piano", "organ", "pad"])
def test_oscillators_do_not_alias(name):
    asked_hz = 1480.0
    note = draw(NOTES[name], 16000, asked_hz, 1.0, brightness=1.0)
    frequencies_hz, power = spectrum(note, 16000)
    # The organ's lowest drawbar is an octave below, and its loudspeaker turns.
    from_partial = np.abs(frequencies_hz / (asked_hz / 2) - np.round(frequencies_hz / (asked_hz / 2)))
    strange = power[(from_partial > 0.06) & (frequencies_hz > 300)].max()
    assert 10 * np.log10(strange / power.max()) < -65


def test_distortion_does_not_alias():
    rate, tone_hz = 16000, 1490.0
    tone = np.sin(2 * np.pi * tone_hz * np.arange(rate) / rate)
    frequencies_hz, power = spectrum(instruments.guitar_amplifier(tone, rate, drive=30)[rate // 4 :], rate)
    from_partial = np.abs(frequencies_hz - tone_hz * np.round(frequencies_hz / tone_hz))
    assert 10 * np.log10(power[(from_partial > 60) & (frequencies_hz > 60)].max() / power.max()) < -50


@pytest.mark.parametrize("rate", RATES)
def test_a_loudspeaker_passes_the_middle(rate):
    noise = 0.5 * np.random.default_rng(0).standard_normal(rate)
    frequencies_hz, power = spectrum(instruments.guitar_amplifier(noise, rate, drive=0.01), rate)
    level_db = {
        name: 10 * np.log10(power[(frequencies_hz > low) & (frequencies_hz < high)].mean())
        for name, (low, high) in {"low": (5, 40), "middle": (500, 3000), "high": (0.47 * rate, 0.5 * rate)}.items()
    }
    assert level_db["middle"] > level_db["low"] + 20
    assert level_db["middle"] > level_db["high"] + (60 if rate == 44100 else 15)


def test_a_driven_guitar_sustains_and_a_muted_one_does_not():
    def share_of_tail(**options):
        energy = np.square(draw(instruments.power_chord, 16000, 82.4, 0.6, **options))
        return energy[len(energy) // 2 :].sum() / energy.sum()

    assert share_of_tail(drive=30) > 0.3 > 0.05 > share_of_tail(drive=30, muted=True)


@pytest.mark.parametrize("rate", RATES)
def test_a_string_dies_away_in_the_time_that_was_asked_for(rate):
    string = draw(instruments.plucked_string, rate, 110.0, 2.0, decay_seconds=2.0, brightness=0.5)
    frequencies_hz, early = spectrum(string[: rate // 2], rate)
    late = spectrum(string[rate : rate + rate // 2], rate)[1]
    first = np.abs(frequencies_hz - 110) < 8
    fall_db = 10 * np.log10(early[first].sum() / late[first].sum())
    assert 20 < fall_db < 42
    assert early[frequencies_hz > 2000].sum() / early.sum() > 5 * late[frequencies_hz > 2000].sum() / late.sum()


def test_a_string_too_short_for_the_rate_is_refused():
    with pytest.raises(ValueError, match="expected a pitch below"):
        draw(instruments.plucked_string, 8000, 1400.0, 0.1)


def test_a_room_adds_a_tail_of_the_energy_that_was_asked_for():
    dry = np.zeros((16000, 2), np.float32)
    dry[0] = 1
    wet = instruments.room(dry, 16000, np.random.default_rng(0), 0.5, 0.1)
    assert wet.shape == dry.shape and wet[0] == pytest.approx(1, abs=1e-3)
    assert np.abs(wet[2:180]).max() < 1e-4
    assert np.square(wet[180:]).sum(axis=0) == pytest.approx(0.1, rel=0.02)
    assert abs(np.corrcoef(wet[180:].T)[0, 1]) < 0.2


def test_midi_numbers_are_semitones_about_the_a_at_440_hz():
    np.testing.assert_allclose(instruments.midi_to_hz(np.array([57, 69, 70, 81])), [220, 440, 466.1638, 880], rtol=1e-6)

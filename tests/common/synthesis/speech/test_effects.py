"""What differs between people, microphones and rooms."""

import numpy as np
import pytest

from common.synthesis.speech import effects

RATE = 16000


@pytest.fixture
def vowel():
    """Harmonics of 120 Hz under resonances at 700 and 1,800 Hz, half a second."""
    frequencies_hz = np.arange(120, 7900, 120)
    gains = sum(1 / (1 + ((frequencies_hz - resonance) / 120) ** 2) for resonance in (700, 1800)) + 1e-3
    times = np.arange(RATE // 2) / RATE
    return (gains @ np.sin(2 * np.pi * frequencies_hz[:, None] * times)).astype(np.float32) * 0.1


def resonance_hz(waveform):
    """Centre of the power between 300 and 1,200 Hz."""
    power = np.abs(np.fft.rfft(waveform)) ** 2
    frequencies_hz = np.fft.rfftfreq(len(waveform), 1 / RATE)
    band = (frequencies_hz > 300) & (frequencies_hz < 1200)
    return (power[band] * frequencies_hz[band]).sum() / power[band].sum()


def test_frames_put_together_again_are_the_waveform(vowel):
    again = effects._istft(effects._stft(vowel))[: len(vowel)]
    np.testing.assert_allclose(again[200:-200], vowel[200:-200], atol=1e-5)


def test_other_voices_move_resonances_and_time(vowel):
    changed = [effects.change_voice(vowel, np.random.default_rng(seed)) for seed in range(12)]
    lengths = [len(waveform) / len(vowel) for waveform in changed]
    assert 0.7 < min(lengths) < 0.97
    assert 1.03 < max(lengths) < 1.4
    assert np.std([resonance_hz(waveform) for waveform in changed]) > 20
    for waveform in changed:
        assert waveform.dtype == np.float32
        assert np.abs(waveform).max() == pytest.approx(0.5)


def test_a_microphone_colours_and_keeps_the_length(vowel):
    changed = effects.microphone(vowel, np.random.default_rng(0), RATE)
    assert changed.shape == vowel.shape
    spectra = [np.abs(np.fft.rfft(waveform))[60::60] for waveform in (vowel, changed)]
    gains_db = 20 * np.log10(spectra[1][:100] / spectra[0][:100])
    assert np.std(gains_db) > 2
    assert np.abs(np.diff(gains_db)).max() < 15


def test_a_room_adds_a_tail_after_the_sound(vowel):
    waveform = np.pad(vowel, (0, RATE // 2))
    wet = effects.room(waveform, np.random.default_rng(0), RATE)
    tail = np.square(wet[len(vowel) :]).reshape(8, -1).mean(axis=1)
    assert tail[0] > 10 * tail[-1]
    assert tail[0] > 0


def test_ends_are_cut_by_a_share_and_faded(vowel):
    cuts = [effects.cut_ends(vowel, np.random.default_rng(seed)) for seed in range(20)]
    lengths = np.array([len(cut) / len(vowel) for cut in cuts])
    assert lengths.min() > 0.74
    assert lengths.min() < 0.9
    assert all(abs(cut[0]) < 1e-6 and abs(cut[-1]) < 1e-6 for cut in cuts)


def test_a_final_plosive_is_held_and_released_weakly_or_not_at_all(vowel):
    burst = 0.1 * np.random.default_rng(0).standard_normal(RATE // 50).astype(np.float32)
    word = np.concatenate([vowel, np.zeros(RATE // 50, np.float32), burst])
    held = [effects.hold_closure(word, np.random.default_rng(seed), RATE) for seed in range(30)]
    longer = np.array([len(waveform) - len(word) for waveform in held]) / RATE
    assert longer.min() >= 0
    assert 0.1 < longer.max() <= 0.25
    for waveform in held:
        assert np.array_equal(waveform[: len(vowel)], vowel)
    releases = np.array([np.abs(waveform[-len(burst) :]).max() for waveform in held])
    assert (releases == 0).any()
    assert (releases > 0).sum() > 15
    assert releases.max() < 1.42 * np.abs(burst).max()


def test_a_murmur_comes_before_a_voiced_plosive(vowel):
    for seed in range(12):
        longer = effects.prevoice(vowel, np.random.default_rng(seed), RATE)
        murmur = longer[: len(longer) - len(vowel)]
        assert 0.02 <= len(murmur) / RATE <= 0.12
        assert np.array_equal(longer[len(murmur) :], vowel)
        assert -35 < 20 * np.log10(np.abs(murmur).max() / np.abs(vowel).max()) < -13
        power = np.abs(np.fft.rfft(murmur, RATE)) ** 2
        assert power[:700].sum() > 0.95 * power.sum()


def test_consonants_gain_time_from_vowels(vowel):
    word = np.concatenate([0.01 * np.random.default_rng(0).standard_normal(len(vowel) // 2).astype(np.float32), vowel])
    envelope = effects._envelope(effects._stft(word))
    weak = slice(10, len(vowel) // 2 // 128 - 10)
    strong = slice(len(vowel) // 2 // 128 + 10, -20)
    slower = 0
    for seed in range(20):
        rates = effects._rhythm(envelope, np.random.default_rng(seed))
        assert 0.75 < (1 / rates).sum() / len(rates) < 1.3
        slower += rates[weak].mean() < rates[strong].mean()
    assert slower > 15


def test_a_final_vowel_dies_away_treble_first(vowel):
    for seed in range(6):
        faded = effects.die_away(vowel, np.random.default_rng(seed))
        assert faded.shape == vowel.shape
        np.testing.assert_allclose(faded[300:1200], vowel[300:1200], atol=1e-5)
        # Half a period of the murmur of the window is left out at the end.
        spectra = [np.abs(np.fft.rfft(waveform[-1600:-400])) for waveform in (vowel, faded)]
        low_db, high_db = (20 * np.log10(spectra[1][i] / spectra[0][i]) for i in (54, 135))
        assert high_db < low_db < -1


def test_what_ends_in_a_vowel_or_in_silence_has_no_closure(vowel):
    for waveform in (vowel, np.pad(vowel, (0, 800)), vowel[:10], np.zeros(800, np.float32)):
        assert effects.hold_closure(waveform, np.random.default_rng(0), RATE) is waveform


@pytest.mark.parametrize("samples", [700, 1500])
def test_the_shortest_sounds_can_be_changed(samples, rng):
    waveform = rng.standard_normal(samples).astype(np.float32)
    for effect in (effects.change_voice, effects.cut_ends):
        changed = effect(waveform, np.random.default_rng(1))
        assert len(changed) > 0.5 * samples
        assert np.isfinite(changed).all()


def test_effects_repeat_under_a_seed(vowel):
    one, other, different = (effects.change_voice(vowel, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(one, other)
    assert len(one) != len(different) or not np.array_equal(one, different)

import librosa
import numpy as np
import pytest
import tensorflow as tf

from common import audio
from common.augmentation.waveform import (
    add_noise,
    colored_noise,
    gain,
    mix_examples,
    play_at,
    reverberate,
    shift,
    speed,
    stretch,
)

SAMPLE_RATE = 16_000
SEED = (3, 5)


@pytest.fixture
def waveforms(rng):
    return rng.normal(0, 0.1, (6, 4000)).astype(np.float32)


def level_db(waveforms):
    return 10 * np.log10(np.mean(np.square(np.asarray(waveforms, np.float64)), axis=-1))


FUNCTIONS = {
    "gain": lambda x, seed, **options: gain(x, seed, -20.0, 20.0, **options),
    "shift": lambda x, seed, **options: shift(x, seed, 500, **options),
    "speed": lambda x, seed, **options: speed(x, seed, 0.8, 1.2, **options),
    "add_noise": lambda x, seed, **options: add_noise(x, tf.reverse(x, [1]), seed, 0.0, 20.0, **options),
    "reverberate": lambda x, seed, **options: reverberate(x, seed, (0.1, 0.4), SAMPLE_RATE, **options),
    "mix_examples": lambda x, seed, **options: mix_examples(x, tf.eye(6), seed, 1.0, **options)[0],
    "colored_noise": lambda x, seed: colored_noise(tf.shape(x), seed),
}
CHANGES = {name: function for name, function in FUNCTIONS.items() if name != "colored_noise"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_seed_same_result_other_seed_another(name, waveforms):
    first, again, other = (FUNCTIONS[name](waveforms, seed).numpy() for seed in (SEED, SEED, (3, 6)))
    np.testing.assert_array_equal(first, again)
    assert first.shape == waveforms.shape
    assert np.all(np.any(first != other, axis=1))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_example_draws_for_itself(name, waveforms):
    same = np.repeat(waveforms[:1], 6, axis=0)
    # Mixing with an equal neighbour changes nothing, so its draws show in the weights of the labels.
    result = mix_examples(same, tf.eye(6), SEED, 1.0)[1] if name == "mix_examples" else FUNCTIONS[name](same, SEED)
    largest = np.asarray(result).max(axis=1)
    assert len(np.unique(largest)) == 6 or len(np.unique(np.asarray(result), axis=0)) == 6


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tf_data_gives_the_eager_result_also_for_batches_of_unknown_size(name, waveforms):
    dataset = tf.data.Dataset.from_tensor_slices(waveforms).batch(6).map(lambda x: FUNCTIONS[name](x, SEED))
    assert dataset.element_spec.shape.as_list() == [None, 4000]
    np.testing.assert_allclose(next(iter(dataset)), FUNCTIONS[name](waveforms, SEED), atol=1e-5)


@pytest.mark.parametrize("name", CHANGES)
def test_probability_is_the_share_of_examples_that_change(name, rng):
    waveforms = rng.normal(0, 0.1, (6, 400)).astype(np.float32)
    np.testing.assert_array_equal(CHANGES[name](waveforms, SEED, probability=0.0), waveforms)
    changed = [
        np.any(CHANGES[name](waveforms, (i, 1), probability=0.5).numpy() != waveforms, axis=1) for i in range(40)
    ]
    # 240 draws: four standard deviations.
    assert abs(np.mean(changed) - 0.5) < 0.13
    assert np.all(np.any(CHANGES[name](waveforms, SEED, probability=1.0).numpy() != waveforms, axis=1))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_silence_stays_finite(name):
    assert np.isfinite(FUNCTIONS[name](tf.zeros((6, 4000)), SEED)).all()


def test_gain_is_exact_and_within_its_limits(waveforms):
    np.testing.assert_allclose(gain(waveforms, SEED, -6.0, -6.0), waveforms * 10 ** (-6 / 20), rtol=1e-6)
    change_db = level_db(gain(waveforms, SEED, -3.0, 9.0)) - level_db(waveforms)
    assert np.all((change_db >= -3) & (change_db <= 9))
    assert np.ptp(change_db) > 2


def test_shift_moves_by_whole_samples_both_ways_and_fills_with_zeros():
    ramps = np.tile(np.arange(1, 101, dtype=np.float32), (200, 1))
    shifted = shift(ramps, SEED, 3).numpy()
    seen = set()
    for row in shifted:
        moved = 51 - int(row[50])
        seen.add(moved)
        expected = np.zeros(100)
        expected[max(moved, 0) : 100 + min(moved, 0)] = ramps[0, max(-moved, 0) : 100 - max(moved, 0)]
        np.testing.assert_array_equal(row, expected)
    assert seen == {-3, -2, -1, 0, 1, 2, 3}


@pytest.mark.parametrize("rate", [0.8, 0.93, 1.1, 1.5])
def test_speed_multiplies_the_frequency_of_a_sine(rate):
    seconds = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    sine = np.sin(2 * np.pi * 1000 * seconds).astype(np.float32)[np.newaxis]
    middle = speed(sine, SEED, rate, rate).numpy()[0, 4000:12_000]
    # The phase of a 1000 * rate Hz carrier stands still; its slope would be an error of frequency.
    carrier = np.exp(-2j * np.pi * 1000 * rate * seconds[:8000])
    halves = np.angle(np.array([np.sum((middle * carrier)[:4000]), np.sum((middle * carrier)[4000:])]))
    error_hz = np.diff(np.unwrap(halves))[0] / (2 * np.pi * 0.25)
    assert abs(error_hz) < 0.05
    assert abs(level_db(middle) - level_db(sine[0])) < 0.05


def test_speed_keeps_the_centre_and_fills_or_cuts_at_both_ends():
    clicks = np.zeros((1, 4001), np.float32)
    clicks[0, [1000, 2000, 3000]] = 1.0
    faster = speed(clicks, SEED, 1.25, 1.25).numpy()[0]
    peaks = np.flatnonzero((faster > 0.3) & (faster >= np.roll(faster, 1)) & (faster > np.roll(faster, -1)))
    np.testing.assert_array_equal(peaks, [1200, 2000, 2800])
    # 4,001 samples at 1.25 are 3,200 long; the rest, 400 on either side, is silence.
    ones = speed(np.ones((1, 4001), np.float32), SEED, 1.25, 1.25).numpy()[0]
    assert not ones[:400].any() and not ones[-400:].any()
    np.testing.assert_allclose(ones[401:-401], 1.0, atol=1e-4)
    slower = speed(np.ones((1, 4001), np.float32), SEED, 0.8, 0.8).numpy()[0]
    np.testing.assert_allclose(slower, 1.0, atol=1e-4)


@pytest.mark.parametrize("rate", [0.9, 1.07])
def test_speed_is_close_to_exact_interpolation_of_what_speech_has(rate):
    # Harmonics of 200 Hz up to 7 kHz that fall by 6 dB an octave, about like a loud vowel.
    num_samples, hz = 4000, np.arange(200, 7000, 200)

    def vowel(positions):
        return np.sum(np.sin(2 * np.pi * hz * positions[:, np.newaxis] / SAMPLE_RATE) / hz * 200, axis=1)

    positions = np.arange(num_samples)
    centre = (num_samples - 1) / 2
    expected = vowel(centre + (positions - centre) * rate)[500:-500]
    result = speed(vowel(positions).astype(np.float32)[np.newaxis], SEED, rate, rate).numpy()[0, 500:-500]
    assert level_db(expected) - level_db(result - expected) > 40


def test_speed_keeps_the_level_of_treble():
    sine = np.sin(2 * np.pi * 7000 / SAMPLE_RATE * np.arange(SAMPLE_RATE)).astype(np.float32)[np.newaxis]
    slower = speed(sine, SEED, 0.9, 0.9).numpy()[0, 1000:-1000]
    assert abs(level_db(slower) - level_db(sine[0])) < 0.05


def test_speed_leaves_out_what_would_alias():
    sine = np.sin(2 * np.pi * 7500 / SAMPLE_RATE * np.arange(SAMPLE_RATE)).astype(np.float32)[np.newaxis]
    assert level_db(speed(sine, SEED, 1.2, 1.2).numpy()[0, 4000:12_000]) < -60


def test_noise_is_added_at_the_drawn_ratio(waveforms, rng):
    noises = 3 * rng.normal(0, 1, waveforms.shape).astype(np.float32)
    added = add_noise(waveforms, noises, SEED, 5.0, 5.0).numpy() - waveforms
    np.testing.assert_allclose(level_db(waveforms) - level_db(added), 5.0, atol=1e-3)
    added = add_noise(waveforms, noises, SEED, 0.0, 20.0).numpy() - waveforms
    snr_db = level_db(waveforms) - level_db(added)
    assert np.all((snr_db > 0) & (snr_db < 20)) and np.ptp(snr_db) > 3


def test_noise_and_silence_leave_a_waveform_alone(waveforms):
    silence = np.zeros_like(waveforms)
    np.testing.assert_array_equal(add_noise(waveforms, silence, SEED, 0.0, 0.0), waveforms)
    np.testing.assert_array_equal(add_noise(silence, waveforms, SEED, 0.0, 0.0), silence)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_colored_noise_has_its_spectral_slope_and_a_gaussian_shape(exponent):
    noise = colored_noise((20, SAMPLE_RATE), SEED, exponent, exponent).numpy()
    np.testing.assert_allclose(np.sqrt(np.mean(noise**2, axis=1)), 1, rtol=1e-3)
    np.testing.assert_allclose(noise.mean(axis=1), 0, atol=1e-4)
    power = np.mean(np.abs(np.fft.rfft(noise)) ** 2, axis=0)[10:7000]
    slope = np.polyfit(np.log(np.arange(10, 7000)), np.log(power), 1)[0]
    assert abs(slope + exponent) < 0.05
    if exponent == 0:
        # The fourth moment of a Gaussian is 3.
        assert abs(np.mean(noise**4) - 3) < 0.1


@pytest.mark.parametrize("rt60_seconds", [0.2, 0.5])
def test_reverberation_time_is_the_drawn_one_by_schroeder_integration(rt60_seconds):
    click = np.zeros((8, SAMPLE_RATE), np.float32)
    click[:, 0] = 1.0
    responses = reverberate(click, SEED, (rt60_seconds, rt60_seconds), SAMPLE_RATE).numpy()
    for response in responses:
        tail = np.square(response[1:].astype(np.float64))
        decay_db = 10 * np.log10(np.cumsum(tail[::-1])[::-1] / tail.sum() + 1e-12)
        # T20 as in ISO 3382: the line from -5 to -25 dB, drawn out to -60 dB.
        fitted = np.flatnonzero((decay_db < -5) & (decay_db > -25))
        slope = np.polyfit(fitted / SAMPLE_RATE, decay_db[fitted], 1)[0]
        assert abs(-60 / slope - rt60_seconds) < 0.1 * rt60_seconds


def test_direct_sound_stays_in_place_with_the_drawn_ratio_and_unit_energy():
    click = np.zeros((8, SAMPLE_RATE), np.float32)
    click[:, 100] = 1.0
    responses = reverberate(click, SEED, (0.2, 0.2), SAMPLE_RATE, drr_db=(6.0, 6.0)).numpy()
    np.testing.assert_allclose(responses[:, :100], 0, atol=1e-6)
    assert np.all(np.argmax(np.abs(responses), axis=1) == 100)
    reverberant = np.sum(responses[:, 101:] ** 2, axis=1)
    np.testing.assert_allclose(10 * np.log10(responses[:, 100] ** 2 / reverberant), 6.0, atol=0.01)
    np.testing.assert_allclose(np.sum(responses**2, axis=1), 1.0, rtol=1e-3)


def test_reverberation_does_not_wrap_around():
    late = np.zeros((4, 4096), np.float32)
    late[:, -1] = 1.0
    np.testing.assert_allclose(reverberate(late, SEED, (0.5, 0.5), SAMPLE_RATE).numpy()[:, :-1], 0, atol=1e-6)


def test_mixing_weighs_waveforms_and_labels_alike(waveforms):
    labels = np.eye(6, dtype=np.float32)
    mixed, mixed_labels = (x.numpy() for x in mix_examples(waveforms, labels, SEED, 1.0))
    np.testing.assert_allclose(mixed_labels.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(mixed, mixed_labels @ waveforms, atol=1e-6)
    own = np.diag(mixed_labels)
    np.testing.assert_allclose(mixed_labels[np.arange(6), np.arange(6) - 1], 1 - own, atol=1e-6)
    assert np.ptp(own) > 0.1


def test_mixing_weights_follow_the_beta_distribution():
    weights = mix_examples(np.zeros((4000, 1), np.float32), np.eye(2, dtype=np.float32)[[0, 1] * 2000], SEED, 0.2)[1]
    own = weights.numpy()[np.arange(4000), np.arange(4000) % 2]
    # Beta(a, a) has variance 1 / (4 (2 a + 1)).
    assert abs(own.var() - 1 / (4 * 1.4)) < 0.01
    assert abs(own.mean() - 0.5) < 0.03


def test_every_example_is_played_at_its_own_rate():
    clicks = np.zeros((2, 4001), np.float32)
    clicks[:, 3000] = 1
    played = play_at(clicks, np.array([[1.25], [0.8]], np.float32)).numpy()
    # 1000 samples behind the centre; slower by a quarter it is 1250.
    assert played.argmax(axis=1).tolist() == [2800, 3250]


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.25])
def test_stretching_keeps_pitch_and_level_and_moves_the_rest(rate):
    times = np.arange(48_000) / 16_000
    sine = np.sin(2 * np.pi * 443 * times).astype(np.float32)
    stretched = stretch(sine[None], np.array([[rate]], np.float32)).numpy()[0]
    inside = stretched[14_000:34_000]
    spectrum = np.abs(np.fft.rfft(inside * np.hanning(len(inside))))
    assert spectrum.argmax() * 16_000 / len(inside) == pytest.approx(443, abs=1)
    assert inside.std() == pytest.approx(np.sqrt(0.5), rel=0.02)
    bursts = np.zeros(48_000, np.float32)
    bursts[36_000:36_400] = np.random.default_rng(0).normal(size=400)
    moved = np.square(stretch(bursts[None], np.array([[rate]], np.float32)).numpy()[0])
    centre = (np.arange(48_000) * moved).sum() / moved.sum()
    assert centre == pytest.approx(24_000 + 12_200 / rate, abs=300)


def test_stretching_is_as_clear_as_librosa_is(real_data):
    """A phase vocoder whose bins drift apart loses level: librosa's keeps 71 % of this voice's energy, this one 88 %."""
    waveform, _ = audio.read(real_data / "mir1k" / "Wavfile" / "Ani_1_01.flac", 16_000, mono=False)
    voice = waveform[20_000:68_000, 1]
    ours = stretch(voice[None], np.array([[1.1]], np.float32)).numpy()[0]
    theirs = librosa.effects.time_stretch(voice, rate=1.1, n_fft=1024, hop_length=256)
    assert np.square(ours).sum() > 1.1 * np.square(theirs).sum()
    assert np.square(ours).sum() < 1.1 * np.square(voice).sum() / 1.1


@pytest.mark.parametrize(
    "function",
    [
        lambda clips: gain(clips, SEED, -6.0, 6.0),
        lambda clips: shift(clips, SEED, 100),
        lambda clips: speed(clips, SEED, 0.9, 1.1),
        lambda clips: stretch(clips, clips[:, :1]),
        lambda clips: add_noise(clips, clips, SEED, 0.0, 10.0),
        lambda clips: colored_noise(clips.shape, SEED),
        lambda clips: reverberate(clips, SEED, (0.1, 0.5), 16000, probability=0.5),
        lambda clips: mix_examples(clips, clips[:, :3], SEED)[0],
    ],
)
def test_a_batch_of_nothing_stays_one(function):
    assert function(tf.zeros((0, 1600))).shape == (0, 1600)

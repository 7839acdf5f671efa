"""From mel spectrograms back to waveforms: against librosa, in a graph of unknown shape, and on silence."""

import librosa
import numpy as np
import pytest
import tensorflow as tf

from common import audio
from common.errors import UserError
from common.features import inversion, spectral
from tests import checks
from tests.errors import refused
from tests.goldens.make import seed

RATE, N_FFT, HOP, NUM_MELS = 22050, 400, 200, 64
MEL = {"sample_rate": RATE, "num_mels": NUM_MELS, "n_fft": N_FFT}


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    """Half a second of gliding tones in noise at three levels, and of an almost silent one."""
    waveforms = checks.waveforms(3, 60 * HOP, RATE)
    return np.concatenate([waveforms, 1e-3 * waveforms[:1, ::-1]])


@pytest.fixture(scope="module")
def music(real_data) -> np.ndarray:
    """Half a second of three tracks of metal and rock."""
    files = sorted((real_data / "gtzan").rglob("*.wav"))[::5]
    clips = [audio.read(file, RATE, start=5.0, duration=0.5)[0] for file in files]
    return np.stack([audio.fit_length(clip, RATE // 2) for clip in clips])


def mel_of(waveforms):
    return spectral.mel_spectrogram(waveforms, hop_length=HOP, **MEL)


def mel_db_of(waveforms):
    return spectral.power_to_db(mel_of(waveforms), top_db=None)


def residuals(power, mel) -> np.ndarray:
    """Distance of the mel bands of `power` from `mel`, relative to `mel`, clip by clip."""
    again = np.asarray(power) @ spectral.mel_filterbank(RATE, N_FFT, NUM_MELS)
    return np.linalg.norm(again - mel, axis=(1, 2)) / np.linalg.norm(mel, axis=(1, 2))


def inconsistency(magnitude, waveforms) -> float:
    again = np.abs(spectral.stft(waveforms, N_FFT, HOP))
    return float(np.linalg.norm(again - magnitude) / np.linalg.norm(magnitude))


def check_power(waveforms):
    mel = mel_of(waveforms).numpy()[:, :20]
    power = inversion.mel_to_power(mel, **MEL).numpy()
    theirs = [librosa.feature.inverse.mel_to_stft(clip.T, sr=RATE, n_fft=N_FFT).T ** 2 for clip in mel]
    assert (power >= 0).all() and np.isfinite(power).all()
    ours = residuals(power, mel)
    assert ours.max() < 3e-3
    assert ours.mean() < 0.5 * residuals(np.stack(theirs), mel).mean()
    # A band counts the same however quiet it is.
    again = power @ spectral.mel_filterbank(RATE, N_FFT, NUM_MELS)
    difference_db = 10 * np.abs(np.log10(again + 1e-12) - np.log10(mel + 1e-12))
    assert difference_db.mean() < 0.02


def test_power_has_the_mel_bands_given_more_closely_than_that_of_librosa(clips):
    check_power(clips)


def test_power_has_the_mel_bands_of_music(music):
    check_power(music)


def test_power_that_is_flat_is_recovered():
    levels = np.array([1e-6, 1.0, 1e4], np.float32)
    expected = np.broadcast_to(levels[:, np.newaxis], (3, 1 + N_FFT // 2)).copy()
    # No band reaches the first bin and the last.
    expected[:, [0, -1]] = 0
    power = inversion.mel_to_power(expected @ spectral.mel_filterbank(RATE, N_FFT, NUM_MELS), **MEL)
    np.testing.assert_allclose(power, expected, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:Empty filters")
def test_power_that_bands_determine_is_recovered(rng):
    # With fewer bins than bands there is one answer only.
    narrow = {"sample_rate": RATE, "num_mels": 64, "n_fft": 32}
    filters = spectral.mel_filterbank(**narrow)
    expected = rng.uniform(0.5, 2, (5, 17)).astype(np.float32)
    expected[:, ~filters.any(axis=1)] = 0
    power = inversion.mel_to_power(expected @ filters, num_iterations=300, **narrow)
    np.testing.assert_allclose(power, expected, rtol=0.01)


def test_negative_mel_counts_as_none():
    mel = np.ones((1, 2, NUM_MELS), np.float32)
    mel[0, 1] = -1
    power = inversion.mel_to_power(mel, **MEL).numpy()
    assert (power[0, 0, 1:-1] > 0).all()
    np.testing.assert_array_equal(power[0, 1], 0)


class ChosenPhases(np.random.RandomState):
    """Has librosa begin with phases that are given."""

    def __init__(self, phases):
        super().__init__(0)
        self.phases = phases

    def random(self, size):
        assert size == self.phases.shape
        return self.phases / (2 * np.pi)


@pytest.mark.parametrize(("n_fft", "hop"), [(400, 200), (512, 128), (300, 70)])
@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_griffin_lim_equals_librosa_from_the_same_phases(clips, n_fft, hop, momentum):
    magnitude = np.abs(spectral.stft(clips[0], n_fft, hop))
    phases = tf.random.stateless_uniform(magnitude.shape, (3, 0), 0.0, 2 * np.pi, alg="philox").numpy()
    options = {"hop_length": hop, "n_fft": n_fft, "momentum": momentum}
    expected = librosa.griffinlim(magnitude.T, n_iter=10, **options, **seed(librosa.griffinlim, ChosenPhases(phases.T)))
    actual = inversion.griffin_lim(magnitude[np.newaxis], hop, num_iterations=10, momentum=momentum, seed=3)[0]
    assert actual.shape == expected.shape
    # Roundings grow with every iteration.
    np.testing.assert_allclose(actual, expected, atol=1e-3 * np.abs(expected).max())


def test_griffin_lim_comes_closer_with_iterations_and_momentum(clips):
    magnitude = np.abs(spectral.stft(clips, N_FFT, HOP))
    once, some, many = (
        inconsistency(magnitude, inversion.griffin_lim(magnitude, HOP, num_iterations=number)) for number in (1, 8, 64)
    )
    plain = inconsistency(magnitude, inversion.griffin_lim(magnitude, HOP, num_iterations=64, momentum=0.0))
    assert many < 0.8 * some < 0.8 * 0.8 * once
    assert many < 0.8 * plain


@pytest.mark.parametrize("frequency_hz", [330.0, 1234.0])
def test_a_sine_comes_back_at_its_frequency(frequency_hz):
    num_samples = 50 * HOP
    sine = 0.3 * np.sin(2 * np.pi * frequency_hz * np.arange(num_samples) / RATE)[np.newaxis].astype(np.float32)
    inside = slice(10 * HOP, -10 * HOP)

    def peak(waveform):
        """Return the frequency in Hz and the amplitude of the strongest sine."""
        spectrum = np.abs(np.fft.rfft(waveform[0, inside] * np.hanning(num_samples - 20 * HOP), 1 << 16))
        return spectrum.argmax() * RATE / (1 << 16), spectrum.max() / (num_samples - 20 * HOP) * 4

    magnitude = np.abs(spectral.stft(sine, N_FFT, HOP // 2))
    found_hz, amplitude = peak(inversion.griffin_lim(magnitude, HOP // 2).numpy())
    assert abs(found_hz - frequency_hz) < 5
    assert 0.2 < amplitude < 0.4
    # Mel bands of this configuration are 50 Hz apart and more.
    found_hz, _ = peak(inversion.mel_db_to_waveform(mel_db_of(sine), hop_length=HOP, **MEL).numpy())
    assert abs(found_hz - frequency_hz) < 40


def test_mel_bands_of_the_waveform_are_those_given(clips):
    mel_db = mel_db_of(clips).numpy()
    waveforms = inversion.mel_db_to_waveform(mel_db, hop_length=HOP, **MEL)
    assert waveforms.dtype == tf.float32 and waveforms.shape == (4, 60 * HOP)
    difference_db = np.abs(mel_db_of(waveforms) - mel_db)
    assert difference_db.mean() < 1.0


def test_a_clip_is_the_same_alone(clips):
    mel_db = mel_db_of(clips).numpy()
    together = inversion.mel_db_to_waveform(mel_db, hop_length=HOP, num_iterations=4, **MEL).numpy()
    for clip, expected in zip(mel_db, together, strict=True):
        for alone in (clip, clip[np.newaxis]):
            actual = np.reshape(inversion.mel_db_to_waveform(alone, hop_length=HOP, num_iterations=4, **MEL), -1)
            np.testing.assert_allclose(actual, expected, atol=1e-3 * np.abs(expected).max())


def test_the_seed_decides(clips):
    mel_db = mel_db_of(clips)
    first, again, other = (
        inversion.mel_db_to_waveform(mel_db, hop_length=HOP, num_iterations=4, seed=seed, **MEL).numpy()
        for seed in (0, tf.constant(0), 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1 * np.abs(first).max()


def test_unknown_shapes_and_a_saved_model_give_the_same(clips, tmp_path):
    module = tf.Module()
    module.invert = tf.function(
        lambda mel_db, seed: inversion.mel_db_to_waveform(mel_db, hop_length=HOP, num_iterations=4, seed=seed, **MEL),
        input_signature=[tf.TensorSpec((None, None, NUM_MELS)), tf.TensorSpec((), tf.int32)],
    )
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    mel_db = mel_db_of(clips)
    for part in (mel_db, mel_db[:1, :20], mel_db[:3, :2]):
        expected = inversion.mel_db_to_waveform(part, hop_length=HOP, num_iterations=4, seed=5, **MEL).numpy()
        traced = module.invert(part, 5).numpy()
        assert traced.shape == (part.shape[0], (part.shape[1] - 1) * HOP)
        np.testing.assert_allclose(traced, expected, atol=1e-4)
        np.testing.assert_allclose(loaded.invert(part, 5), traced, atol=1e-6)


def test_silence_stays_silence(clips):
    silence = np.zeros_like(clips[:1])
    options = {"hop_length": HOP, "num_iterations": 8, **MEL}
    np.testing.assert_array_equal(inversion.mel_db_to_waveform(mel_db_of(silence), **options), 0)
    # A clip that is silent in part has finite samples everywhere, and none in the silence.
    half = clips[:1] * (np.arange(clips.shape[1]) < clips.shape[1] // 2)
    waveform = inversion.mel_db_to_waveform(mel_db_of(half), **options).numpy()
    assert np.isfinite(waveform).all()
    assert np.abs(waveform[:, clips.shape[1] // 2 + N_FFT :]).max() < 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_mels": 80}, "has 64 bands, num_mels is 80"),
        ({"hop_length": 0}, "hop_length is 0"),
        ({"hop_length": 400}, r"from 1 to 399 \(n_fft is 400\)"),
        ({"num_iterations": 0}, "num_iterations is 0"),
        ({"momentum": 1.0}, "momentum is 1.0"),
    ],
)
def test_what_is_out_of_range_is_said_in_one_line(arguments, message):
    with refused(message):
        inversion.mel_db_to_waveform(np.zeros((1, 5, 64), np.float32), **{**MEL, "hop_length": HOP, **arguments})
    with pytest.raises(UserError, match="num_iterations is 0"):
        inversion.mel_to_power(np.zeros((1, 5, 64), np.float32), num_iterations=0, **MEL)

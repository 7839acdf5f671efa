"""Short-time spectra against librosa, on real recordings and on made ones; each clip alone and in a batch."""

import librosa
import numpy as np
import pytest
import scipy.fft
import tensorflow as tf

from common import audio
from common.errors import UserError
from common.features import spectral
from tests import checks
from tests.goldens.make import seed

RATE = 16000
FRAMINGS = [
    {"n_fft": 2048, "hop_length": 512},
    {"n_fft": 512, "hop_length": 160, "win_length": 480},
    {"n_fft": 400, "hop_length": 200},
    {"n_fft": 301, "hop_length": 75, "win_length": 250, "window": "hamming"},
    {"n_fft": 1103, "hop_length": 441},
    {"n_fft": 512, "hop_length": 128, "center": False},
    {"n_fft": 400, "hop_length": 160, "pad_mode": "reflect"},
]


def relative_difference(actual, expected) -> float:
    """Largest difference over largest value; both may be all zero."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-30))


def transposed(spectrogram: np.ndarray) -> np.ndarray:
    return np.swapaxes(spectrogram, -1, -2)


@pytest.fixture(scope="module")
def recordings(real_data) -> np.ndarray:
    """One second each of speech and of other sounds, at their natural levels; the last one is made quiet."""
    files = [sorted((real_data / "speech_commands" / word).glob("*.wav"))[0] for word in ("yes", "stop", "go")]
    files += (
        sorted((real_data / "librispeech").rglob("*.flac"))[:3]
        + sorted((real_data / "esc10" / "audio").glob("*.flac"))[:4]
    )
    clips = [audio.fit_length(audio.read(file, RATE, start=0.0, duration=1.0)[0], RATE) for file in files]
    return np.stack([*clips, 0.003 * clips[0]])


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_stft_equals_librosa(recordings, framing):
    expected = transposed(librosa.stft(recordings, **framing))
    assert relative_difference(spectral.stft(recordings, **framing), expected) < 1e-5


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_istft_equals_librosa_and_returns_the_waveform(recordings, framing):
    inverse = {name: value for name, value in framing.items() if name != "pad_mode"}
    spectrum = spectral.stft(recordings, **framing)
    masked = (spectrum * np.linspace(0, 1, spectrum.shape[-1], dtype=np.float32)).numpy()
    for length in (None, 15500, 17000):
        actual = spectral.istft(masked, length=length, **inverse).numpy()
        expected = librosa.istft(transposed(masked), length=length, **inverse)
        # Without centring the outermost samples carry no window and are lost; librosa magnifies what rounding left.
        margin = 0 if framing.get("center", True) else framing["n_fft"] // 2
        inside = slice(margin, min(actual.shape[-1], RATE) - 2 * margin)
        assert actual.shape == expected.shape
        assert relative_difference(actual[..., inside], expected[..., inside]) < 1e-5
    restored = spectral.istft(spectrum, length=RATE, **inverse).numpy()
    inside = slice(margin, RATE - framing["n_fft"])
    assert relative_difference(restored[:, inside], recordings[:, inside]) < 1e-5


def test_istft_fades_where_a_window_without_centring_ends():
    waveform = checks.waveforms(1, 2048)
    restored = spectral.istft(spectral.stft(waveform, 512, 128, center=False), 512, 128, center=False).numpy()
    weights = spectral.window_samples("hann", None, 512) ** 2
    sums = weights[:128]
    lost, kept = restored[0, :128][sums <= 1e-6], sums > 1e-6
    assert len(lost) > 1 and np.abs(lost).max() < 1e-6
    np.testing.assert_allclose(restored[0, :128][kept], waveform[0, :128][kept], atol=1e-3)


def test_istft_ignores_what_a_real_waveform_cannot_have():
    rng = np.random.default_rng(0)
    spectrum = (rng.normal(size=(2, 9, 129)) + 1j * rng.normal(size=(2, 9, 129))).astype(np.complex64)
    assert (
        relative_difference(
            spectral.istft(spectrum, hop_length=64), librosa.istft(transposed(spectrum), hop_length=64, n_fft=256)
        )
        < 1e-5
    )


@pytest.mark.parametrize("ref", [1.0, 0.05, "max"])
@pytest.mark.parametrize("top_db", [None, 30.0, 80.0])
def test_decibels_equal_those_of_librosa_clip_by_clip(recordings, ref, top_db):
    magnitudes = np.abs(librosa.stft(recordings, n_fft=512))
    reference = np.max if ref == "max" else ref
    power_db = spectral.power_to_db(transposed(magnitudes**2), ref=ref, top_db=top_db)
    amplitude_db = spectral.amplitude_to_db(transposed(magnitudes), ref=ref, top_db=top_db)
    for index, clip in enumerate(magnitudes):
        # In decibels: digital silence is 0 dB below its own maximum, and librosa's is so only to a rounding.
        expected = transposed(librosa.power_to_db(clip**2, ref=reference, top_db=top_db))
        np.testing.assert_allclose(power_db[index], expected, atol=1e-3)
        expected = transposed(librosa.amplitude_to_db(clip, ref=reference, top_db=top_db))
        np.testing.assert_allclose(amplitude_db[index], expected, atol=1e-3)


def test_silence_has_decibels():
    np.testing.assert_allclose(spectral.power_to_db(np.zeros((1, 3, 4), np.float32)), -100, rtol=1e-6)
    np.testing.assert_allclose(spectral.power_to_db(np.zeros((1, 3, 4), np.float32), ref="max"), 0, atol=1e-4)


@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("norm", ["slaney", None])
def test_mel_spectrogram_equals_librosa(recordings, htk, center, norm):
    expected = librosa.feature.melspectrogram(
        y=recordings,
        sr=RATE,
        n_fft=512,
        hop_length=160,
        win_length=480,
        n_mels=40,
        center=center,
        htk=htk,
        norm=norm,
        fmin=20,
    )
    actual = spectral.mel_spectrogram(
        recordings, RATE, 40, fmin_hz=20.0, htk=htk, norm=norm, n_fft=512, hop_length=160, win_length=480, center=center
    )
    assert relative_difference(actual, transposed(expected)) < 1e-5


def test_dct_equals_scipy(rng):
    values = rng.normal(size=(2, 5, 40)).astype(np.float32)
    expected = scipy.fft.dct(values, type=2, norm="ortho", axis=-1)[..., :13]
    np.testing.assert_allclose(spectral.dct(values, 13), expected, atol=1e-5)


@pytest.mark.parametrize("center", [False, True])
def test_mfcc_equals_librosa(recordings, center):
    actual = spectral.mfcc(spectral.mel_spectrogram(recordings, RATE, center=center))
    for index, clip in enumerate(recordings):
        expected = transposed(librosa.feature.mfcc(y=clip, sr=RATE, n_mfcc=13, center=center))
        assert relative_difference(actual[index], expected) < 1e-5


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_griffin_lim_comes_as_close_as_librosa(recordings, momentum):
    magnitudes = np.abs(librosa.stft(recordings[:6], n_fft=512, hop_length=128))

    def spectral_convergence(waveforms):
        again = np.abs(librosa.stft(np.asarray(waveforms), n_fft=512, hop_length=128))
        return np.linalg.norm(again - magnitudes, axis=(1, 2)) / np.linalg.norm(magnitudes, axis=(1, 2))

    options = {"hop_length": 128, "momentum": momentum, "length": RATE}
    ours = spectral_convergence(spectral.griffin_lim(transposed(magnitudes), num_iterations=32, **options))
    theirs = spectral_convergence(librosa.griffinlim(magnitudes, n_iter=32, **seed(librosa.griffinlim, 0), **options))
    once = spectral_convergence(spectral.griffin_lim(transposed(magnitudes), num_iterations=1, **options))
    assert ours.mean() < 1.1 * theirs.mean()
    assert ours.mean() < 0.5 * once.mean()


def test_griffin_lim_gives_a_clip_the_same_waveform_alone_and_for_the_same_seed():
    magnitudes = np.abs(spectral.stft(checks.waveforms(3, 2000), 256, 64))
    together = spectral.griffin_lim(magnitudes, hop_length=64, num_iterations=5).numpy()
    for index in range(3):
        alone = spectral.griffin_lim(magnitudes[index : index + 1], hop_length=64, num_iterations=5)
        assert relative_difference(alone[0], together[index]) < 1e-4
    other = spectral.griffin_lim(magnitudes, hop_length=64, num_iterations=5, seed=1)
    assert relative_difference(other, together) > 0.1


def test_a_quiet_clip_keeps_its_values_beside_a_loud_one(recordings):
    def compute(clips):
        return spectral.mfcc(spectral.mel_spectrogram(clips, RATE)).numpy()

    together = compute(recordings)
    for index in range(len(recordings)):
        assert relative_difference(compute(recordings[index : index + 1])[0], together[index]) < 1e-5


def test_waveforms_of_any_rank_and_of_unknown_shape():
    clips = checks.waveforms(6, 2000)
    expected = spectral.stft(clips, 256, 64)
    np.testing.assert_allclose(spectral.stft(clips[0], 256, 64), expected[0], atol=1e-6)
    nested = spectral.stft(clips.reshape(2, 3, 2000), 256, 64)
    np.testing.assert_allclose(tf.reshape(nested, expected.shape), expected, atol=1e-6)

    @tf.function(input_signature=[tf.TensorSpec((None, None))])
    def there_and_back(waveforms):
        return spectral.istft(spectral.stft(waveforms, 256, 64), hop_length=64, length=2000)

    np.testing.assert_allclose(there_and_back(clips), clips, atol=1e-6)


def test_gradients_are_finite_for_silence_and_reach_the_waveform():
    waveform = tf.Variable(np.concatenate([np.zeros((1, 1000)), checks.waveforms(1, 1000)]).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(spectral.magnitude(*spectral.stft_parts(waveform, 256, 64)))
    gradient = tape.gradient(loss, waveform).numpy()
    assert np.isfinite(gradient).all()
    assert not gradient[0].any() and gradient[1].any()


def test_what_is_too_short_or_unknown_is_said_in_one_line():
    with pytest.raises(UserError, match="300 samples is shorter than one frame of 512"):
        spectral.stft(np.zeros((1, 300), np.float32), 512, 128, center=False)
    with pytest.raises(UserError, match="200 samples are too short to reflect 256"):
        spectral.stft(np.zeros((1, 200), np.float32), 512, 128, pad_mode="reflect")
    with pytest.raises(UserError, match='window "square" is not known'):
        spectral.window_samples("square", None, 64)


@pytest.mark.parametrize("n_fft", [64, 100, 1500])
def test_a_batch_of_nothing_stays_one(n_fft):
    bins, hop_length = n_fft // 2 + 1, n_fft // 4
    framing = {"n_fft": n_fft, "hop_length": hop_length}
    assert spectral.stft(tf.zeros((0, 1600)), **framing).shape[0::2] == (0, bins)
    assert spectral.mel_spectrogram(tf.zeros((0, 1600)), RATE, 8, **framing).shape[0::2] == (0, 8)
    assert spectral.istft(tf.zeros((0, 9, bins), tf.complex64), **framing).shape == (0, 8 * hop_length)
    assert spectral.griffin_lim(tf.zeros((0, 9, bins)), **framing, num_iterations=2).shape == (0, 8 * hop_length)
    for function in (spectral.power_to_db, spectral.amplitude_to_db):
        assert function(tf.zeros((0, 4, 20)), ref="max").shape == (0, 4, 20)
    assert spectral.mfcc(tf.zeros((0, 4, 20))).shape == (0, 4, 13)

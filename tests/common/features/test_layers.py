"""The feature layers: librosa's values, and one shared check of how a layer can be run and saved."""

import inspect

import keras
import librosa
import numpy as np
import pytest
import tensorflow as tf

from common import audio, features
from common.features import layers
from tests import checks
from tests.errors import refused

RATE = 16000
SMALL = {"n_fft": 256, "hop_length": 64}
CLIPS = checks.waveforms(3, 2000)
COMPLEX = np.array(features.Spectrogram("complex", **SMALL)(CLIPS))
COMPLEX_400 = np.array(features.Spectrogram("complex", n_fft=400, hop_length=100)(CLIPS))
MAGNITUDE = np.hypot(COMPLEX[..., 0], COMPLEX[..., 1])

# Every public layer of common.features must stand here: the layer, its inputs, the largest difference allowed.
CHECKED = [
    (features.Spectrogram(**SMALL), CLIPS, 1e-5),
    (features.Spectrogram("power", n_fft=400, hop_length=160, pad_mode="reflect"), CLIPS, 1e-5),
    (features.Spectrogram("db", top_db=60.0, **SMALL), CLIPS, 1e-4),
    (features.Spectrogram("complex", n_fft=512, win_length=300, hop_length=110, center=False), CLIPS, 1e-5),
    (features.LogMel(), CLIPS, 1e-4),
    (features.LogMel(num_mels=20, scale="db", top_db=None, htk=True, fmin_hz=20.0, fmax_hz=7000.0), CLIPS, 1e-4),
    (features.MFCC(), CLIPS, 1e-4),
    (features.InverseSpectrogram(**SMALL), COMPLEX, 1e-5),
    (features.InverseSpectrogram(n_fft=400, hop_length=100, length=2000), COMPLEX_400, 1e-5),
    (features.GriffinLim(num_iterations=3, length=1500, **SMALL), MAGNITUDE, 1e-4),
]


def public_layers() -> set[type]:
    found = {
        value for value in vars(layers).values() if inspect.isclass(value) and issubclass(value, keras.layers.Layer)
    }
    return {layer for layer in found if layer.__module__ == layers.__name__} - {
        features.FramedLayer,
        features.MelLayer,
    }


def test_no_public_layer_is_left_out_of_the_check():
    assert public_layers() == {type(layer) for layer, _, _ in CHECKED}


@pytest.mark.parametrize(("layer", "inputs", "atol"), CHECKED, ids=lambda value: getattr(value, "name", ""))
def test_a_layer_gives_the_same_however_it_is_run_saved_or_batched(layer, inputs, atol):
    checks.check_layer(layer, inputs, atol=atol)


@pytest.fixture(scope="module")
def recordings(real_data) -> np.ndarray:
    """One second each of commands, read speech and other sounds; the last is a thousand times quieter."""
    files = [sorted((real_data / "speech_commands" / word).glob("*.wav"))[1] for word in ("no", "left", "off")]
    files += (
        sorted((real_data / "librispeech").rglob("*.flac"))[5:8]
        + sorted((real_data / "esc10" / "audio").glob("*.flac"))[5:9]
    )
    clips = [audio.fit_length(audio.read(file, RATE, start=0.0, duration=1.0)[0], RATE) for file in files]
    return np.stack([*clips, 0.001 * clips[0]])


def check_equal(outputs, clips, reference, tolerance=1e-4):
    """Compare each clip of a batch with the reference on it alone: largest difference over largest value."""
    assert len(outputs) == len(clips)
    for output, clip in zip(np.asarray(outputs), clips, strict=True):
        expected = reference(clip).T
        assert output.shape == expected.shape
        assert np.abs(output - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("n_fft", [512, 400])
def test_spectrogram_equals_librosa(recordings, center, n_fft):
    framing = {"n_fft": n_fft, "hop_length": 160, "center": center}

    def magnitude(clip):
        return np.abs(librosa.stft(clip, **framing))

    check_equal(features.Spectrogram(**framing)(recordings), recordings, magnitude)
    check_equal(features.Spectrogram("power", **framing)(recordings), recordings, lambda clip: magnitude(clip) ** 2)
    check_equal(
        features.Spectrogram("db", **framing)(recordings),
        recordings,
        lambda clip: librosa.amplitude_to_db(magnitude(clip)),
    )
    parts = features.Spectrogram("complex", **framing)(recordings).numpy()
    check_equal(parts[..., 0], recordings, lambda clip: librosa.stft(clip, **framing).real)
    check_equal(parts[..., 1], recordings, lambda clip: librosa.stft(clip, **framing).imag)


@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize("center", [True, False])
def test_log_mel_equals_librosa(recordings, htk, center):
    def mel(clip):
        return librosa.feature.melspectrogram(
            y=clip, sr=RATE, n_fft=512, win_length=480, hop_length=160, n_mels=40, htk=htk, center=center
        )

    layer = features.LogMel(htk=htk, center=center)
    check_equal(layer(recordings), recordings, lambda clip: np.log(mel(clip) + 1e-6))
    layer = features.LogMel(htk=htk, center=center, scale="db")
    check_equal(layer(recordings), recordings, lambda clip: librosa.power_to_db(mel(clip)))


def test_mfcc_of_the_report_equals_librosa(recordings):
    clips = np.stack([audio.resample(clip, RATE, 22050) for clip in recordings])
    outputs = features.MFCC(sample_rate=22050)(clips)
    assert outputs.shape == (len(clips), 44, 13)
    check_equal(outputs, clips, lambda clip: librosa.feature.mfcc(y=clip, sr=22050, n_mfcc=13))


def test_inverse_spectrogram_equals_librosa_and_undoes_the_spectrogram(recordings):
    spectrogram = features.Spectrogram("complex", n_fft=1024, hop_length=256)(recordings)
    waveforms = features.InverseSpectrogram(n_fft=1024, hop_length=256, length=RATE)(spectrogram).numpy()
    for waveform, clip in zip(waveforms, recordings, strict=True):
        expected = librosa.istft(
            librosa.stft(clip, n_fft=1024, hop_length=256), n_fft=1024, hop_length=256, length=RATE
        )
        assert np.abs(waveform - expected).max() <= 1e-5 * np.abs(expected).max()
        assert np.abs(waveform - clip).max() <= 1e-5 * np.abs(clip).max()


def test_griffin_lim_sounds_like_its_spectrogram(recordings):
    magnitudes = features.Spectrogram(n_fft=512, hop_length=128)(recordings)
    layer = features.GriffinLim(n_fft=512, hop_length=128, num_iterations=64)
    waveforms = layer(magnitudes)
    again = features.Spectrogram(n_fft=512, hop_length=128)(waveforms)
    error = tf.norm(again - magnitudes, axis=(1, 2)) / tf.maximum(tf.norm(magnitudes, axis=(1, 2)), 1e-9)
    assert np.median(error) < 0.2


def test_a_half_precision_policy_keeps_the_waveform_whole_and_saturates():
    soft_on_loud = np.full((1, RATE), 0.9, np.float32) + 1e-3 * checks.waveforms(1, RATE)
    expected = features.Spectrogram()(soft_on_loud).numpy()
    # Cut to bfloat16 on its way in, the soft waveform would be gone, and the bins away from 0 Hz with it.
    outputs = features.Spectrogram(dtype="mixed_bfloat16")(soft_on_loud)
    np.testing.assert_allclose(tf.cast(outputs, tf.float32), expected, rtol=0.01)
    power = features.Spectrogram("power", dtype="mixed_float16")(soft_on_loud)
    assert power.dtype == tf.float16 and power.numpy().max() == np.finfo(np.float16).max


def test_a_layer_takes_float64_and_unknown_lengths():
    np.testing.assert_allclose(features.LogMel()(CLIPS.astype(np.float64)), features.LogMel()(CLIPS), atol=1e-5)
    symbolic = features.LogMel()(keras.Input((None,)))
    assert symbolic.shape == (None, None, 40)
    model = keras.Sequential([keras.Input((None,)), features.LogMel()])
    assert model(CLIPS).shape == (3, 13, 40)
    assert model(CLIPS[:, :1600]).shape == (3, 11, 40)
    symbolic = features.InverseSpectrogram(**SMALL)(keras.Input((None, 129, 2)))
    assert symbolic.shape == (None, None)


def test_a_layer_adds_no_weights_to_a_model():
    model = keras.Sequential([keras.Input((22050,)), features.MFCC()])
    assert model.weights == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: features.Spectrogram("magnitud"), 'output is magnitud; .* Did you mean "magnitude"'),
        (lambda: features.Spectrogram(hop_length=0), "hop_length is 0; use a whole number of at least 1"),
        (lambda: features.Spectrogram(n_fft=512.0), "n_fft is 512.0; use a whole number"),
        (lambda: features.LogMel(win_length=600), r"win_length is 600; .* from 1 to 512 \(n_fft is 512\)"),
        (lambda: features.LogMel(pad_mode="edge"), "pad_mode is edge; use one of constant, reflect"),
        (lambda: features.LogMel(fmax_hz=9000.0), "use 0 <= fmin_hz < fmax_hz <= 8000"),
        (lambda: features.LogMel(window="square"), 'window "square" is not known'),
        (lambda: features.LogMel(offset=0.0), "offset is 0.0; use a number above 0"),
        (lambda: features.LogMel(scale="db", top_db=-3), "top_db is -3; use a number above 0"),
        (lambda: features.LogMel(norm="area"), "norm is area; use one of slaney, None"),
        (lambda: features.MFCC(num_mfcc=41, num_mels=40), r"num_mfcc is 41; .* from 1 to 40"),
        (lambda: features.GriffinLim(momentum=1.0), "momentum is 1.0; use 0 or more and less than 1"),
        (lambda: features.InverseSpectrogram(length=0), "length is 0; use a whole number"),
        (lambda: features.InverseSpectrogram()(COMPLEX), "129 bins does not match n_fft 2048; expected 1025"),
        (lambda: features.Spectrogram(center=False)(CLIPS[:, :1000]), "1000 samples is shorter than one frame of 2048"),
    ],
)
def test_a_wrong_argument_is_said_in_one_line(make, message):
    with refused(message):
        make()

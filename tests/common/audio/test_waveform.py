import librosa
import numpy as np
import pytest
import soundfile

from common import audio


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 16000), (8000, 16000), (22050, 16000), (16000, 11025)])
def test_resampling_keeps_a_tone_and_has_the_length_of_librosa(from_rate, to_rate):
    for num_samples in (1, 2, 1001, 2 * from_rate):
        waveform = np.sin(2 * np.pi * 440 * np.arange(num_samples) / from_rate).astype(np.float32)
        resampled = audio.resample(waveform, from_rate, to_rate)
        assert len(resampled) == len(librosa.resample(waveform, orig_sr=from_rate, target_sr=to_rate))
    expected = np.sin(2 * np.pi * 440 * np.arange(len(resampled)) / to_rate)
    np.testing.assert_allclose(resampled[1000:-1000], expected[1000:-1000], atol=1e-4)


def test_resampling_removes_what_the_new_rate_cannot_hold():
    waveform = np.sin(2 * np.pi * 10000 * np.arange(44100) / 44100).astype(np.float32)
    assert np.abs(audio.resample(waveform, 44100, 16000)[1000:-1000]).max() < 1e-4


def test_resampling_treats_each_channel_alone(rng):
    stereo = rng.standard_normal((4410, 2)).astype(np.float32)
    resampled = audio.resample(stereo, 44100, 16000)
    assert resampled.shape == (1600, 2)
    for channel in range(2):
        np.testing.assert_allclose(resampled[:, channel], audio.resample(stereo[:, channel], 44100, 16000), atol=1e-6)


def test_fit_length_cuts_and_pads():
    np.testing.assert_array_equal(audio.fit_length(np.array([1, 2, 3]), 2), [1, 2])
    np.testing.assert_array_equal(audio.fit_length(np.array([1, 2, 3]), 5), [1, 2, 3, 0, 0])
    assert audio.fit_length(np.ones((3, 2)), 4).shape == (4, 2)


def test_the_loudest_excerpt_is_found_wherever_it_lies(rng):
    for start in (0, 1234, 9000):
        waveform = 0.01 * rng.standard_normal(10000)
        waveform[start : start + 1000] += rng.standard_normal(1000)
        np.testing.assert_array_equal(audio.loudest_excerpt(waveform, 1000), waveform[start : start + 1000])
    np.testing.assert_array_equal(audio.loudest_excerpt(np.zeros(10), 3), np.zeros(3))
    np.testing.assert_array_equal(audio.loudest_excerpt(np.array([1.0, 2.0]), 4), [1, 2, 0, 0])


def test_what_is_far_below_full_scale_is_silence(tone):
    assert audio.is_silent(np.zeros(10)) and audio.is_silent(1e-4 * tone) and audio.is_silent(np.zeros(0))
    assert not audio.is_silent(1e-3 * tone)


def test_sixteen_bits_come_back_as_they_were_and_are_what_soundfile_reads(tmp_path):
    samples = np.arange(-(2**15), 2**15).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="PCM_16")
    waveform = audio.from_pcm16(samples)
    assert waveform.dtype == np.float32
    np.testing.assert_array_equal(waveform, soundfile.read(tmp_path / "a.wav", dtype="float32")[0])
    np.testing.assert_array_equal(audio.to_pcm16(waveform), samples)


def test_sixteen_bits_are_the_nearest_and_full_scale_is_the_limit(rng):
    waveform = rng.uniform(-1.2, 1.2, (1000, 2)).astype(np.float32)
    samples = audio.to_pcm16(waveform)
    assert samples.dtype == np.dtype("<i2") and samples.shape == waveform.shape
    nearest = np.abs(samples / 2**15 - waveform) <= 0.5 / 2**15
    np.testing.assert_array_equal(nearest | (waveform >= 1 - 0.5 / 2**15) | (waveform < -1), True)
    np.testing.assert_array_equal(samples[waveform > 1], 2**15 - 1)
    np.testing.assert_array_equal(samples[waveform < -1], -(2**15))

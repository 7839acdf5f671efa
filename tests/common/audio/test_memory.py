import numpy as np
import pytest
import soundfile

from common.audio import memory
from common.errors import UserError


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_floats_stay_as_they_are(kind):
    for waveform in (np.array([0.5, -2.0], kind), np.array([[0.5, -2.0], [0.25, 0.0]], kind)):
        samples = memory.checked(waveform)
        assert samples.dtype == np.float32
        np.testing.assert_array_equal(samples, waveform.reshape(2, -1))


def test_16_bit_samples_are_scaled_as_soundfile_does(tmp_path, rng):

    samples = rng.integers(-(2**15), 2**15, (100, 2)).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 8000)
    np.testing.assert_array_equal(memory.checked(samples), soundfile.read(tmp_path / "a.wav", dtype="float32")[0])


@pytest.mark.parametrize(
    ("waveform", "words"),
    [
        (np.zeros(0), "has no samples; expected at least one"),
        (np.zeros((0, 2)), "has no samples"),
        (np.zeros(5, np.int32), "type int32; expected float .* or int16"),
        (np.zeros(5, complex), "type complex128"),
        (np.zeros((2, 3, 4)), r"\(2, 3, 4\); expected \(samples,\) or \(samples, channels\)"),
        (np.array(0.5), r"shape \(\)"),
        (np.zeros((2, 16000)), r"\(2, 16000\); expected \(samples, channels\): transpose it"),
        (np.array([0.0, np.nan]), "NaN or infinite"),
        (np.array([0.0, np.inf]), "NaN or infinite"),
        (np.array([0.0, 1e300]), "NaN or infinite"),
        (np.array([0.0, 9000.0]), r"a peak of 9000; expected float samples in \[-1, 1\]"),
    ],
)
def test_what_cannot_be_used_is_refused(waveform, words):
    with pytest.raises(UserError, match=words):
        memory.Waveform(waveform, 16000)


@pytest.mark.parametrize("rate", [0, -16000, 10**9, 16000.5, "16000", float("nan")])
def test_absurd_rates_are_refused(rate):
    with pytest.raises(UserError, match="sample_rate: expected a whole number of 100 to"):
        memory.Waveform(np.zeros(5), rate)


def test_blocks_are_the_stretch(rng):
    waveform = rng.standard_normal((100, 2)).astype(np.float32)
    recording = memory.Waveform(waveform, 16000)
    assert (recording.num_samples, recording.num_channels) == (100, 2)
    for first, num_samples in ((0, None), (13, 50), (90, 50)):
        blocks = list(recording.blocks(first, num_samples, block_values=15))
        assert all(1 <= len(block) <= 7 for block in blocks)
        stop = None if num_samples is None else first + num_samples
        np.testing.assert_array_equal(np.concatenate(blocks), waveform[first:stop])

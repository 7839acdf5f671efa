"""Functions and layers refuse the same arguments by the same words."""

import numpy as np
import pytest

from common import features
from common.errors import UserError
from common.features import checks, inversion, spectral

CLIP = np.zeros((1, 4000), np.float32)
SPECTRUM = np.zeros((1, 9, 257), np.complex64)
MAGNITUDE = np.zeros((1, 9, 257), np.float32)
FRAMINGS = [
    {"n_fft": 1},
    {"n_fft": 512.0},
    {"n_fft": 512, "hop_length": 0},
    {"n_fft": 512, "hop_length": -3},
    {"n_fft": 512, "win_length": 600},
    {"n_fft": 512, "win_length": 0},
    {"n_fft": 512, "window": "square"},
]
MELS = [
    {"sample_rate": 0},
    {"num_mels": 0},
    {"norm": "area"},
    {"fmin_hz": -1.0},
    {"fmin_hz": 4000.0, "fmax_hz": 3000.0},
    {"fmax_hz": 9000.0},
]


def said(function, *arguments, **options) -> str:
    with pytest.raises(UserError) as caught:
        function(*arguments, **options)
    return caught.value.command_line


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_framings(framing):
    expected = said(features.Spectrogram, **framing)
    assert said(spectral.stft, CLIP, **framing) == expected
    assert said(spectral.mel_spectrogram, CLIP, 16000, 8, **framing).startswith(expected[:20])
    assert said(spectral.istft, SPECTRUM, **framing) == expected == said(features.InverseSpectrogram, **framing)
    assert said(spectral.griffin_lim, MAGNITUDE, **framing) == expected == said(features.GriffinLim, **framing)


def test_what_lies_beyond_the_ends():
    expected = said(features.LogMel, pad_mode="edge")
    assert "pad_mode is edge; use one of constant, reflect" in expected
    assert (
        said(spectral.stft, CLIP, pad_mode="edge") == said(spectral.griffin_lim, MAGNITUDE, pad_mode="edge") == expected
    )


@pytest.mark.parametrize("change", MELS, ids=str)
def test_mel_bands(change):
    mel = {"sample_rate": 16000, "num_mels": 40, **change}
    expected = said(features.MFCC, **mel)
    assert said(spectral.mel_filterbank, **mel) == said(spectral.mel_spectrogram, CLIP, **mel) == expected
    assert said(inversion.mel_to_power, np.zeros((1, 9, mel["num_mels"]), np.float32), **mel) == expected


def test_coefficients():
    expected = said(features.MFCC, num_mfcc=41, num_mels=40)
    assert said(spectral.mfcc, np.ones((1, 9, 40), np.float32), 41) == expected
    assert "num_mfcc is 0; use a whole number from 1 to 40" in said(spectral.mfcc, np.ones((1, 9, 40), np.float32), 0)
    assert "num_coefficients is 5; use a whole number from 1 to 4" in said(spectral.dct, np.ones((1, 4), np.float32), 5)


@pytest.mark.parametrize("options", [{"momentum": 1.0}, {"momentum": -0.1}, {"num_iterations": 0}], ids=str)
def test_iterations(options):
    expected = said(features.GriffinLim, **options)
    assert said(spectral.griffin_lim, MAGNITUDE, **options) == expected
    assert said(inversion.griffin_lim, MAGNITUDE, hop_length=128, **options) == expected


def test_decibels():
    expected = said(features.Spectrogram, "db", top_db=-3)
    assert (
        said(spectral.power_to_db, MAGNITUDE, top_db=-3)
        == said(spectral.amplitude_to_db, MAGNITUDE, top_db=-3)
        == expected
    )
    for function in (spectral.power_to_db, spectral.amplitude_to_db):
        assert "amin is 0" in said(function, MAGNITUDE, amin=0)
        assert "amin is -1e-05" in said(function, MAGNITUDE, amin=-1e-5)
        assert 'Did you mean "max"' in said(function, MAGNITUDE, ref="maxx")


def test_spectra_of_another_length():
    expected = said(features.InverseSpectrogram(n_fft=400), np.zeros((1, 9, 257, 2), np.float32))
    assert "257 bins does not match n_fft 400; expected 201" in expected
    assert said(spectral.istft, SPECTRUM, 400) == said(spectral.griffin_lim, MAGNITUDE, 400) == expected
    assert "length is 0" in said(spectral.istft, SPECTRUM, length=0)


def test_waveforms_that_are_too_short():
    for options in ({"center": False}, {"pad_mode": "reflect"}):
        expected = said(features.Spectrogram(**options), CLIP[:, :900])
        assert said(spectral.stft, CLIP[:, :900], **options) == expected
        assert said(spectral.mel_spectrogram, CLIP[:, :900], 16000, **options) == expected


def test_numbers_of_numpy_are_numbers():
    checks.framing(np.int64(512), np.int32(160))
    assert spectral.stft(CLIP, np.int64(512), np.int64(160)).shape == (1, 26, 257)

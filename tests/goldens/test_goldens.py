"""The toolkit's values against those that other libraries gave once: `make.py` says how; none of them is needed here."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from common import audio
from common.augmentation.spectrogram import VocalTractPerturbation
from common.features import spectral
from generation import metrics as generation_metrics
from separation import metrics as separation_metrics
from tests.goldens import cases

_FRAMING = ("n_fft", "hop_length", "win_length", "window", "center", "pad_mode")
_MEL = ("sample_rate", "num_mels", "fmin_hz", "fmax_hz", "htk", "norm")


def taken(case: dict, *names: str) -> dict:
    return {name: case[name] for name in names if name in case}


def sound(case: dict) -> np.ndarray:
    return cases.waveform(case["kind"], case["num_samples"], case["seed"])


def magnitudes(case: dict) -> np.ndarray:
    return cases.magnitudes(case["frames"], case["bins"], case["seed"])


def istft(case: dict):
    values = cases.spectrum(case["frames"], case["n_fft"] // 2 + 1, case["seed"])
    return spectral.istft(values, **taken(case, *_FRAMING, "length"))


def mel_spectrogram(case: dict):
    return spectral.mel_spectrogram(sound(case), **taken(case, *_MEL, *_FRAMING))


def griffin_lim(case: dict):
    framing = taken(case, "n_fft", "hop_length")
    spectrum = np.abs(spectral.stft(sound(case), **framing))
    found = spectral.griffin_lim(spectrum, **framing, momentum=case["momentum"], length=case["num_samples"])
    again = np.abs(spectral.stft(found, **framing))
    return np.array([np.linalg.norm(again - spectrum) / np.linalg.norm(spectrum)])


def resample(case: dict):
    sides = [cases.waveform(case["kind"], case["num_samples"], case["seed"] + 1000 * side) for side in range(2)]
    return audio.resample(np.stack(sides[: case["channels"]], axis=1), case["from_rate"], case["to_rate"])


def mel_warp(case: dict):
    layer = VocalTractPerturbation(**taken(case, "max_warp", "sample_rate", "fmin_hz", "fmax_hz", "htk"))
    return layer._positions(case["num_mels"])


def torch_spectrogram(case: dict):
    spectrum = spectral.stft(sound(case), **taken(case, *_FRAMING))
    return spectrum if case["power"] is None else tf.abs(spectrum) ** case["power"]


def bss_eval(case: dict):
    pair = cases.stems(case["sources"], case["num_samples"], case["channels"], case["error"], case["seed"])
    found = separation_metrics.bss_eval(*pair, **taken(case, "window", "hop", "filter_length"))
    np.testing.assert_allclose(found.sdr, separation_metrics.sdr(*pair, **taken(case, "window", "hop")), rtol=1e-12)
    return np.stack(found)


def si_sdr(case: dict):
    pair = cases.stems(case["sources"], case["num_samples"], case["channels"], case["error"], case["seed"])
    return separation_metrics.si_sdr(*pair, zero_mean=case["zero_mean"])


def prdc(case: dict):
    pair = cases.clouds(case["reference"], case["generated"], case["dim"], case["shift"], case["seed"])
    names = ("precision", "recall", "density", "coverage")
    return np.array([getattr(generation_metrics, name)(*pair, case["num_neighbours"]) for name in names])


def decibels(function: Callable) -> Callable:
    return lambda case: function(magnitudes(case), **taken(case, "ref", "amin", "top_db"))


def mfcc(case: dict):
    return spectral.mfcc(mel_spectrogram(case), case["num_mfcc"])


# What answers each function, and how far it may be from the other library, as a part of the answer's largest magnitude.
# Transforms in float32 differed by up to 1.3e-6 (sums of up to 1103 products in another order); a wrong window, margin or
# normalisation is 1e-3 and more. Cepstra are of logarithms, which enlarge what a nearly empty band has of rounding
# (1.4e-5). torchaudio computes mel edges in float32, which moves bands narrower than a bin (1.1e-4). What is computed in
# float64 on both sides was the same to the last digit that is kept.
_FLOAT32, _CEPSTRA, _NARROW_BANDS, _FLOAT64 = 5e-6, 1e-4, 5e-4, 5e-7
ANSWERS: dict[tuple[str, str], tuple[Callable, float]] = {
    ("librosa", "stft"): (lambda case: spectral.stft(sound(case), **taken(case, *_FRAMING)), _FLOAT32),
    ("librosa", "istft"): (istft, _FLOAT32),
    ("librosa", "mel_filterbank"): (lambda case: spectral.mel_filterbank(**taken(case, *_MEL, "n_fft")), _FLOAT64),
    ("librosa", "mel_spectrogram"): (mel_spectrogram, _FLOAT32),
    ("librosa", "power_to_db"): (decibels(spectral.power_to_db), _FLOAT32),
    ("librosa", "amplitude_to_db"): (decibels(spectral.amplitude_to_db), _FLOAT32),
    ("librosa", "mfcc"): (mfcc, _CEPSTRA),
    ("librosa", "dct"): (lambda case: spectral.dct(magnitudes(case), case["num_coefficients"]), _FLOAT32),
    ("librosa", "resample"): (resample, _FLOAT32),
    ("librosa", "mel_warp"): (mel_warp, _FLOAT64),
    ("torchaudio", "spectrogram"): (torch_spectrogram, _FLOAT32),
    ("torchaudio", "mel_spectrogram"): (mel_spectrogram, _NARROW_BANDS),
    ("torchaudio", "mfcc"): (mfcc, _CEPSTRA),
    ("torchaudio", "decibels"): (decibels(spectral.power_to_db), _FLOAT32),
    ("museval", "bss_eval"): (bss_eval, _FLOAT64),
    ("torchmetrics", "si_sdr"): (si_sdr, _FLOAT64),
    ("prdc", "prdc"): (prdc, _FLOAT64),
}


@pytest.fixture(scope="module")
def goldens() -> dict[tuple[str, str], list[tuple[dict, np.ndarray, np.ndarray]]]:
    """The case, the shape and the values of every answer, by file and function."""
    found: dict = {}
    listed = cases.read()["cases"]
    for file, library in cases.FILES.items():
        kept = np.load(cases.FOLDER / f"{file}.npz")
        own = [case for case in listed if case["library"] == library]
        for case, shape, values in zip(own, kept["shapes"], kept["values"], strict=True):
            found.setdefault((file, case["function"]), []).append((case, shape, values))
    return found


@functools.cache
def answers(library: str, function: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Shape and values of our answers: computed once for all versions of a library, which have the same cases."""
    answer = griffin_lim if function == "griffin_lim" else ANSWERS[library, function][0]
    own = [case for case in cases.read()["cases"] if (case["library"], case["function"]) == (library, function)]
    return [cases.summary(np.asarray(answer(case))) for case in own]


def difference(answer: tuple[np.ndarray, np.ndarray], shape: np.ndarray, values: np.ndarray) -> float:
    """How far an answer is from a golden, as a part of the golden's largest magnitude; infinite in another shape."""
    own_shape, own_values = answer
    if not np.array_equal(own_shape, shape) or not np.array_equal(np.isnan(own_values), np.isnan(values)):
        return np.inf
    return float(np.nanmax(np.abs(own_values - values)) / max(values[0], 1e-30))


NAMES = [
    (file, function)
    for file, library in cases.FILES.items()
    for function in cases.FUNCTIONS[library]
    if function != "griffin_lim"
]


@pytest.mark.parametrize(("file", "function"), NAMES)
def test_values_are_those_of_the_other_library(goldens, file, function):
    tolerance = ANSWERS[cases.FILES[file], function][1]
    listed = zip(answers(cases.FILES[file], function), goldens[file, function], strict=True)
    differences = [difference(answer, shape, values) for answer, (_, shape, values) in listed]
    wrong = [
        (one, case) for one, (case, *_) in zip(differences, goldens[file, function], strict=True) if one > tolerance
    ]
    assert not wrong, f"{len(wrong)} of {len(differences)}, the first by {wrong[0][0]:.2g}: {wrong[0][1]}"


@pytest.mark.slow
@pytest.mark.parametrize("file", ["librosa-0.11", "librosa-1.0"])
def test_griffin_lim_comes_as_close_on_average(goldens, file):
    """In one case it depends on the phases to begin with, which each library draws for itself: by up to 2.4 times."""
    ours = np.mean([values[0] for _, values in answers("librosa", "griffin_lim")])
    theirs = np.mean([values[0] for *_, values in goldens[file, "griffin_lim"]])
    assert 0.8 * theirs < ours < 1.1 * theirs


def test_there_are_a_thousand_cases_and_the_versions_they_were_made_with():
    found = cases.read()
    assert len(found["cases"]) > 1000
    assert found["cases"] == cases.choose(), "cases.json was made of other cases; make.py says how to make it again"
    assert set(found["versions"]) == set(cases.FILES)
    assert found["versions"]["librosa-1.0"]["librosa"].startswith("1.0")
    assert found["versions"]["librosa-0.11"]["librosa"].startswith("0.11")


def test_a_small_fault_is_seen(goldens):
    """Each of these was a fault in some library once: the window's form, the margin, the norm, a decibel's reference."""
    case, shape, values = goldens["librosa-1.0", "stft"][0]
    right = np.asarray(spectral.stft(sound(case), **taken(case, *_FRAMING)))
    assert difference(cases.summary(right), shape, values) < _FLOAT32
    for wrong in (right * 1.0001, right[:-1], np.roll(right, 1, axis=-1), right.conj(), right * np.nan):
        assert difference(cases.summary(wrong), shape, values) > _FLOAT32
    case, shape, values = next(one for one in goldens["prdc", "prdc"] if 0 < one[2][0] < 1)
    wrong = prdc({**case, "num_neighbours": case["num_neighbours"] + 1})
    assert difference(cases.summary(wrong), shape, values) > _FLOAT64

"""Make the values that `test_goldens.py` compares with, once, where the other libraries are:

    python -m venv OLD && OLD/bin/pip install librosa==0.11.0 museval prdc torch torchaudio torchmetrics
    python -m venv NEW && NEW/bin/pip install librosa==1.0.0
    OLD/bin/python -m tests.goldens.make librosa-0.11 torchaudio museval torchmetrics prdc
    NEW/bin/python -m tests.goldens.make librosa-1.0

Each name writes a file of that name, and the versions it was made with into `cases.json`, which has the arguments of all
cases. The cases follow from `cases.choose()`: when it changes, all files have to be made again.
"""

import importlib.metadata
import inspect
import platform
import sys
import types
from collections.abc import Callable

import numpy as np

from tests.goldens import cases

_PACKAGES = {
    "librosa": ("librosa", "soxr"),
    "torchaudio": ("torchaudio", "torch"),
    "torchmetrics": ("torchmetrics", "torch"),
}
_MELS = {"n_fft", "hop_length", "win_length", "window", "center", "pad_mode", "htk", "norm"}


def librosa_answers() -> dict[str, Callable[..., np.ndarray]]:
    """Return librosa's answer to the arguments of each function; spectra are turned to time before frequency."""
    import librosa

    def framing(case: dict) -> dict:
        return {name: value for name, value in case.items() if name in _MELS - {"htk", "norm"}}

    def mel(case: dict) -> dict:
        named = {name: value for name, value in case.items() if name in _MELS}
        edges = {
            "sr": case["sample_rate"],
            "n_mels": case["num_mels"],
            "fmin": case["fmin_hz"],
            "fmax": case["fmax_hz"],
        }
        return {**named, **edges}

    def sound(case: dict) -> np.ndarray:
        return cases.waveform(case["kind"], case["num_samples"], case["seed"])

    def decibels(function: Callable) -> Callable:
        def answer(case: dict) -> np.ndarray:
            values = cases.magnitudes(case["frames"], case["bins"], case["seed"])
            reference = np.max if case["ref"] == "max" else case["ref"]
            return function(values, ref=reference, amin=case["amin"], top_db=case["top_db"])

        return answer

    def istft(case: dict) -> np.ndarray:
        values = cases.spectrum(case["frames"], case["n_fft"] // 2 + 1, case["seed"]).T
        return librosa.istft(values, **framing(case), length=case["length"])

    def mfcc(case: dict) -> np.ndarray:
        # Its own argument `norm` is that of the cosine transform.
        power = librosa.feature.melspectrogram(y=sound(case), **mel(case))
        return librosa.feature.mfcc(S=librosa.power_to_db(power), n_mfcc=case["num_mfcc"]).T

    def griffin_lim(case: dict) -> np.ndarray:
        # Its random phases are its own: what can be compared is how close it comes.
        spectrum = np.abs(librosa.stft(sound(case), n_fft=case["n_fft"], hop_length=case["hop_length"]))
        options = {"hop_length": case["hop_length"], "momentum": case["momentum"], "length": case["num_samples"]}
        found = librosa.griffinlim(spectrum, n_iter=32, **options, **seed(librosa.griffinlim, 0))
        again = np.abs(librosa.stft(found, n_fft=case["n_fft"], hop_length=case["hop_length"]))
        return np.array([np.linalg.norm(again - spectrum) / np.linalg.norm(spectrum)])

    def resample(case: dict) -> np.ndarray:
        sides = [cases.waveform(case["kind"], case["num_samples"], case["seed"] + 1000 * side) for side in range(2)]
        rates = {"orig_sr": case["from_rate"], "target_sr": case["to_rate"]}
        return librosa.resample(np.stack(sides[: case["channels"]]), **rates, res_type="soxr_hq").T

    def mel_warp(case: dict) -> np.ndarray:
        # Where a band's centre is found, in bands, when all frequencies are multiplied.
        highest = case["fmax_hz"] or case["sample_rate"] / 2
        edges = librosa.mel_frequencies(case["num_mels"] + 2, fmin=case["fmin_hz"], fmax=highest, htk=case["htk"])
        factors = np.exp(np.linspace(-case["max_warp"], case["max_warp"], 65))
        wanted = librosa.hz_to_mel(edges[1:-1] / factors[:, None], htk=case["htk"])
        low, high = librosa.hz_to_mel(np.array([case["fmin_hz"], highest]), htk=case["htk"])
        return (wanted - low) / (high - low) * (case["num_mels"] + 1) - 1

    return {
        "stft": lambda case: librosa.stft(sound(case), **framing(case)).T,
        "istft": istft,
        "mel_filterbank": lambda case: librosa.filters.mel(**mel(case)).T,
        "mel_spectrogram": lambda case: librosa.feature.melspectrogram(y=sound(case), **mel(case)).T,
        "power_to_db": decibels(librosa.power_to_db),
        "amplitude_to_db": decibels(librosa.amplitude_to_db),
        "mfcc": mfcc,
        "dct": lambda case: (
            librosa.feature.mfcc(S=_decibel_like(case).T, n_mfcc=case["num_coefficients"], dct_type=2, norm="ortho").T
        ),
        "griffin_lim": griffin_lim,
        "resample": resample,
        "mel_warp": mel_warp,
    }


def seed(function: Callable, value) -> dict:
    """Return the argument that seeds a function of librosa: 1.0 has another name for it, and 1.2 no longer the old one."""
    return {"rng" if "rng" in inspect.signature(function).parameters else "random_state": value}


def _decibel_like(case: dict) -> np.ndarray:
    return cases.magnitudes(case["frames"], case["bins"], case["seed"])


def torchaudio_answers() -> dict[str, Callable[..., np.ndarray]]:
    """Return torchaudio's answer to the arguments of each function."""
    import torch
    import torchaudio

    windows = {name: getattr(torch, f"{name}_window") for name in ("hann", "hamming", "blackman")}

    def sound(case: dict) -> "torch.Tensor":
        return torch.from_numpy(cases.waveform(case["kind"], case["num_samples"], case["seed"]))

    def framing(case: dict) -> dict:
        named = {name: case[name] for name in ("n_fft", "hop_length", "win_length", "center", "pad_mode")}
        return {**named, "window_fn": windows[case["window"]]}

    def mel(case: dict) -> dict:
        edges = {"n_mels": case["num_mels"], "f_min": case["fmin_hz"], "f_max": case["fmax_hz"]}
        scale = {"mel_scale": "htk" if case["htk"] else "slaney", "norm": case["norm"]}
        return {**framing(case), **edges, **scale}

    def mfcc(case: dict) -> np.ndarray:
        layer = torchaudio.transforms.MFCC(case["sample_rate"], case["num_mfcc"], melkwargs=mel(case))
        return layer(sound(case)).numpy().T

    def decibels(case: dict) -> np.ndarray:
        values = torch.from_numpy(cases.magnitudes(case["frames"], case["bins"], case["seed"]))
        return torchaudio.functional.amplitude_to_DB(values, 10.0, case["amin"], 0.0, case["top_db"]).numpy()

    return {
        "spectrogram": lambda case: (
            torchaudio.transforms.Spectrogram(**framing(case), power=case["power"])(sound(case)).numpy().T
        ),
        "mel_spectrogram": lambda case: (
            torchaudio.transforms.MelSpectrogram(case["sample_rate"], **mel(case))(sound(case)).numpy().T
        ),
        "mfcc": mfcc,
        "decibels": decibels,
    }


def museval_answers() -> dict[str, Callable[..., np.ndarray]]:
    """Return museval's four ratios `(4, sources, frames)`."""
    # It wants ffmpeg's programs to read songs; its figures do not need them.
    sys.modules["musdb"] = types.ModuleType("musdb")
    import museval.metrics

    def answer(case: dict) -> np.ndarray:
        pair = cases.stems(case["sources"], case["num_samples"], case["channels"], case["error"], case["seed"])
        options = {"window": case["window"], "hop": case["hop"], "filters_len": case["filter_length"]}
        return np.stack(museval.metrics.bss_eval(*pair, **options)[:4])

    return {"bss_eval": answer}


def torchmetrics_answers() -> dict[str, Callable[..., np.ndarray]]:
    """Return the scale-invariant SDR of torchmetrics, of each channel by itself and then their mean, `(sources,)`."""
    import torch
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

    def answer(case: dict) -> np.ndarray:
        pair = cases.stems(case["sources"], case["num_samples"], case["channels"], case["error"], case["seed"])
        references, estimates = (torch.from_numpy(np.moveaxis(signals, 2, 1)) for signals in pair)
        ratios = scale_invariant_signal_distortion_ratio(estimates, references, zero_mean=case["zero_mean"])
        return ratios.mean(dim=1).numpy()

    return {"si_sdr": answer}


def prdc_answers() -> dict[str, Callable[..., np.ndarray]]:
    """Return precision, recall, density and coverage, `(4,)`."""
    import prdc

    def answer(case: dict) -> np.ndarray:
        pair = cases.clouds(case["reference"], case["generated"], case["dim"], case["shift"], case["seed"])
        figures = prdc.compute_prdc(*pair, nearest_k=case["num_neighbours"])
        return np.array([figures[name] for name in ("precision", "recall", "density", "coverage")])

    return {"prdc": answer}


def make(name: str) -> None:
    """Write the values of one file, and its versions."""
    library = cases.FILES[name]
    answers = globals()[f"{library}_answers"]()
    chosen = cases.choose()
    kept = [cases.summary(answers[case["function"]](case)) for case in chosen if case["library"] == library]
    shapes, values = (np.stack(parts) for parts in zip(*kept, strict=True))
    np.savez_compressed(cases.FOLDER / f"{name}.npz", shapes=shapes, values=values)
    packages = (*_PACKAGES.get(library, (library,)), "numpy", "scipy")
    versions = cases.read()["versions"] if cases.CASES.exists() else {}
    versions[name] = {package: importlib.metadata.version(package) for package in packages}
    versions[name]["python"] = platform.python_version()
    cases.write(versions, chosen)
    print(f"{name}: {len(values)} cases")


if __name__ == "__main__":
    for requested in sys.argv[1:] or cases.FILES:
        make(requested)

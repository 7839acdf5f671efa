"""What is compared with other libraries: the cases, their inputs from a seed, and what is kept of an answer.

Nothing but NumPy is needed, so that `make.py` runs where the libraries are and `test_goldens.py` where they are not.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
CASES = FOLDER / "cases.json"
# Of each answer so many values are kept, beside three figures of all its values.
NUM_KEPT = 24
_MAX_RANK = 4

# Which functions each library answers.
FUNCTIONS = {
    "librosa": (
        "stft",
        "istft",
        "mel_filterbank",
        "mel_spectrogram",
        "power_to_db",
        "amplitude_to_db",
        "mfcc",
        "dct",
        "griffin_lim",
        "resample",
        "mel_warp",
    ),
    "torchaudio": ("spectrogram", "mel_spectrogram", "mfcc", "decibels"),
    "museval": ("bss_eval",),
    "torchmetrics": ("si_sdr",),
    "prdc": ("prdc",),
}
# The files of values: librosa's of two versions.
FILES = {"librosa-0.11": "librosa", "librosa-1.0": "librosa"} | {name: name for name in list(FUNCTIONS)[1:]}


def waveform(kind: str, num_samples: int, seed: int) -> np.ndarray:
    """Make a float32 waveform `(samples,)`: "noise", "tone", "impulse", "soft" noise, or noise that "stops"."""
    rng = np.random.default_rng(seed)
    samples = rng.uniform(-0.5, 0.5, num_samples)
    if kind == "tone":
        samples = 0.6 * np.sin(np.arange(num_samples) * rng.uniform(0.05, 1.5)) + 0.001 * samples
    if kind == "impulse":
        samples = np.zeros(num_samples)
        samples[num_samples // 3] = 1.0
    if kind == "soft":
        samples *= 1e-4
    if kind == "stops":
        samples[num_samples // 2 :] = 0.0
    return samples.astype(np.float32)


def magnitudes(frames: int, bins: int, seed: int) -> np.ndarray:
    """Make magnitudes `(frames, bins)` over many decades, some of them 0."""
    rng = np.random.default_rng(seed)
    values = 10 ** rng.uniform(-6, 2, (frames, bins))
    return np.where(rng.uniform(size=values.shape) < 0.05, 0.0, values).astype(np.float32)


def spectrum(frames: int, bins: int, seed: int) -> np.ndarray:
    """Make a complex64 spectrum `(frames, bins)`."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(frames, bins)) + 1j * rng.normal(size=(frames, bins))).astype(np.complex64)


def stems(sources: int, num_samples: int, channels: int, error: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make sources and estimates `(sources, samples, channels)`; estimates have the others, an echo and noise in them."""
    rng = np.random.default_rng(seed)
    references = rng.normal(0, 0.1, (sources, num_samples, channels))
    estimates = references + 0.3 * np.roll(references, 3, axis=1) * error
    estimates = (
        estimates + error * (references.sum(axis=0) - references) + error * rng.normal(0, 0.05, references.shape)
    )
    return references, estimates


def clouds(reference: int, generated: int, dim: int, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Make two sets of points, `(reference, dim)` and `(generated, dim)`."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(reference, dim)), shift + rng.normal(0, 0.8, (generated, dim))


def summary(answer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is kept of an answer: its shape, and some of its values behind three figures of all of them.

    Returns:
        The shape, int32 `(4,)`, filled up with -1; and float32 `(3 + NUM_KEPT,)`: the largest magnitude, the mean
        magnitude, the mean, then values evenly spread from the first to the last. Complex values are two real ones.
    """
    answer = np.asarray(answer)
    if np.iscomplexobj(answer):
        answer = np.stack([answer.real, answer.imag], axis=-1)
    values = answer.astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    figures = [np.abs(finite).max(), np.abs(finite).mean(), finite.mean()] if finite.size else [0.0, 0.0, 0.0]
    # Not a multiple of the row's length: every column has its turn.
    kept = values[np.linspace(0, values.size - 1, NUM_KEPT).round().astype(int)]
    shape = np.full(_MAX_RANK, -1, np.int32)
    shape[: answer.ndim] = answer.shape
    return shape, np.concatenate([figures, kept]).astype(np.float32)


def read() -> dict:
    """Read `cases.json`: `versions` of each file of values, and the `cases`."""
    return json.loads(CASES.read_text())


def write(versions: dict, cases: list[dict]) -> None:
    """Write `cases.json`, a line a case."""
    lines = ",\n".join(json.dumps(case) for case in cases)
    CASES.write_text(f'{{"versions": {json.dumps(versions, indent=1)},\n"cases": [\n{lines}\n]}}\n')


def choose() -> list[dict]:
    """Choose all cases: for each function every value of every argument, in combinations drawn from a seed."""
    cases = []
    for library, functions in FUNCTIONS.items():
        for function in functions:
            for number, arguments in enumerate(_GENERATORS[library, function](np.random.default_rng(1))):
                cases.append({"library": library, "function": function, "seed": number, **arguments})
    return cases


_KINDS = ("noise", "tone", "impulse", "soft", "stops")
_WINDOWS = ("hann", "hamming", "blackman", "boxcar")


def _pick(rng, values):
    """Choose one of some values, as what JSON knows."""
    return values[int(rng.integers(len(values)))]


def _framings(rng, count: int, centers=(True, False), windows=_WINDOWS) -> Iterator[dict]:
    """Draw framings and a waveform to cut; all lengths of the transform in turn."""
    lengths = itertools.cycle((64, 100, 128, 256, 301, 400, 512, 1103))
    for n_fft in itertools.islice(lengths, count):
        yield {
            "n_fft": n_fft,
            "hop_length": int(n_fft * _pick(rng, (0.25, 0.5, 0.1, 0.37))),
            "win_length": _pick(rng, (None, n_fft, n_fft * 3 // 4, n_fft // 2 + 1)),
            "window": _pick(rng, windows),
            "center": _pick(rng, centers),
        }


def _waveforms(rng, n_fft: int) -> dict:
    return {"kind": _pick(rng, _KINDS), "num_samples": int(rng.integers(n_fft + 1, n_fft * 4))}


def _stft(rng):
    for framing in _framings(rng, 160):
        yield {**framing, "pad_mode": _pick(rng, ("constant", "reflect")), **_waveforms(rng, framing["n_fft"])}


def _istft(rng):
    # Without centring only windows that do not end in zeros: librosa divides by what is left of the others.
    for framing in _framings(rng, 100, windows=("hann", "hamming", "boxcar")):
        framing["center"] = framing["center"] or framing["window"] == "hann"
        framing["win_length"] = framing["win_length"] if framing["center"] else None
        # Where windows leave gaps there is nothing to divide by.
        framing["hop_length"] = min(framing["hop_length"], (framing["win_length"] or framing["n_fft"]) // 2)
        frames = int(rng.integers(5, 12))
        whole = framing["hop_length"] * (frames - 1)
        yield {**framing, "frames": frames, "length": _pick(rng, (None, whole, whole - 17))}


def _mel(rng) -> dict:
    rate = _pick(rng, (8000, 16000, 22050, 44100))
    return {
        "sample_rate": rate,
        "num_mels": _pick(rng, (1, 10, 40, 64, 128)),
        "fmin_hz": _pick(rng, (0.0, 20.0, 300.0)),
        "fmax_hz": _pick(rng, (None, 3500.0, rate / 2 - 100)),
        "htk": _pick(rng, (False, True)),
        "norm": _pick(rng, ("slaney", None)),
    }


def _mel_filterbank(rng):
    for _ in range(120):
        yield {**_mel(rng), "n_fft": _pick(rng, (256, 400, 512, 1103, 2048))}


def _mel_spectrogram(rng):
    for framing in _framings(rng, 100):
        pad_mode = _pick(rng, ("constant", "reflect"))
        yield {**_mel(rng), **framing, "pad_mode": pad_mode, **_waveforms(rng, framing["n_fft"])}


def _decibels(references, floors):
    def draw(rng):
        for _ in range(50):
            yield {
                "frames": int(rng.integers(1, 9)),
                "bins": int(rng.integers(2, 40)),
                "ref": _pick(rng, references),
                "amin": _pick(rng, floors),
                "top_db": _pick(rng, (None, 30.0, 80.0, 120.0)),
            }

    return draw


def _mfcc(rng):
    for framing in _framings(rng, 80, windows=("hann",)):
        mel = {**_mel(rng), "num_mels": _pick(rng, (20, 40, 128))}
        yield {**mel, **framing, "num_mfcc": _pick(rng, (1, 13, 20)), **_waveforms(rng, framing["n_fft"])}


def _dct(rng):
    for _ in range(30):
        size = int(rng.integers(2, 130))
        yield {"frames": int(rng.integers(1, 9)), "bins": size, "num_coefficients": int(rng.integers(1, size + 1))}


def _griffin_lim(rng):
    for _ in range(24):
        n_fft = _pick(rng, (256, 400, 512))
        framing = {"n_fft": n_fft, "hop_length": n_fft // 4, "momentum": _pick(rng, (0.0, 0.99))}
        yield {**framing, "kind": _pick(rng, ("noise", "tone")), "num_samples": 8 * n_fft}


def _resample(rng):
    rates = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
    for from_rate, to_rate in itertools.permutations(rates, 2):
        yield {
            "from_rate": from_rate,
            "to_rate": to_rate,
            "channels": _pick(rng, (1, 2)),
            "kind": _pick(rng, _KINDS),
            "num_samples": int(rng.integers(500, 3000)),
        }


def _mel_warp(rng):
    for _ in range(20):
        mel = {name: value for name, value in _mel(rng).items() if name != "norm"}
        yield {**mel, "num_mels": _pick(rng, (20, 40, 64)), "max_warp": _pick(rng, (0.05, 0.15, 0.3))}


def _torch_framings(rng, count, windows=("hann", "hamming", "blackman"), odd: bool = True):
    for framing in _framings(rng, count, windows=windows):
        if framing["n_fft"] % 2 and not odd:
            # torchaudio takes the highest bin for half the sample rate, which it is for even lengths only.
            framing["n_fft"] += 1
        yield {**framing, "pad_mode": _pick(rng, ("constant", "reflect")), **_waveforms(rng, framing["n_fft"])}


def _torch_spectrogram(rng):
    for framing in _torch_framings(rng, 80):
        yield {**framing, "power": _pick(rng, (None, 1.0, 2.0))}


def _torch_mel_spectrogram(rng):
    for framing in _torch_framings(rng, 70, odd=False):
        yield {**_mel(rng), **framing}


def _torch_mfcc(rng):
    for framing in _torch_framings(rng, 50, windows=("hann",), odd=False):
        mel = {**_mel(rng), "num_mels": _pick(rng, (20, 40, 64))}
        yield {**mel, **framing, "num_mfcc": _pick(rng, (1, 13, 20))}


def _bss_eval(rng):
    for _ in range(40):
        window = int(rng.integers(300, 900))
        yield {
            "sources": _pick(rng, (2, 3, 4)),
            "num_samples": int(rng.integers(1500, 3000)),
            "channels": _pick(rng, (1, 2)),
            "error": _pick(rng, (0.01, 0.1, 0.5, 1.0)),
            "window": window,
            "hop": _pick(rng, (window, window // 2)),
            "filter_length": _pick(rng, (1, 8, 32, 64)),
        }


def _si_sdr(rng):
    for _ in range(30):
        yield {
            "sources": _pick(rng, (1, 2, 4)),
            "num_samples": int(rng.integers(100, 3000)),
            "channels": _pick(rng, (1, 2)),
            "error": _pick(rng, (0.01, 0.1, 0.5, 1.0)),
            "zero_mean": _pick(rng, (False, True)),
        }


def _prdc(rng):
    for _ in range(100):
        yield {
            "reference": int(rng.integers(12, 120)),
            "generated": int(rng.integers(12, 120)),
            "dim": _pick(rng, (1, 2, 4, 12)),
            "shift": _pick(rng, (0.0, 0.1, 0.3, 1.0)),
            "num_neighbours": _pick(rng, (1, 3, 5, 10)),
        }


_GENERATORS = {
    ("librosa", "stft"): _stft,
    ("librosa", "istft"): _istft,
    ("librosa", "mel_filterbank"): _mel_filterbank,
    ("librosa", "mel_spectrogram"): _mel_spectrogram,
    ("librosa", "power_to_db"): _decibels((1.0, 0.05, "max"), (1e-10, 1e-6)),
    ("librosa", "amplitude_to_db"): _decibels((1.0, 0.05, "max"), (1e-5, 1e-3)),
    ("librosa", "mfcc"): _mfcc,
    ("librosa", "dct"): _dct,
    ("librosa", "griffin_lim"): _griffin_lim,
    ("librosa", "resample"): _resample,
    ("librosa", "mel_warp"): _mel_warp,
    ("torchaudio", "spectrogram"): _torch_spectrogram,
    ("torchaudio", "mel_spectrogram"): _torch_mel_spectrogram,
    ("torchaudio", "mfcc"): _torch_mfcc,
    ("torchaudio", "decibels"): _decibels((1.0,), (1e-10, 1e-6)),
    ("museval", "bss_eval"): _bss_eval,
    ("torchmetrics", "si_sdr"): _si_sdr,
    ("prdc", "prdc"): _prdc,
}

"""Inversion of mel spectrograms to audio, compared with librosa; `python -m benchmarks.inversion [--data_dir=FOLDER]`.

Six seconds from the middle of every recording in the folder, or of synthetic metal songs, are converted to a mel
spectrogram of 64 bands (22,050 Hz, n_fft 400, hop 200) and back: by `inversion.mel_db_to_waveform` and by
`librosa.feature.inverse.mel_to_audio`. The routes take turns, one excerpt per round, after a warm-up, on two threads.
The last routes invert the true magnitudes of the excerpt by Griffin-Lim, which shows the error without the mel bands.

- log-spectral distance in dB: difference of the power spectrograms, root mean square over bins, mean over frames, with
  a floor of 80 dB below the maximum of the excerpt. Linear: n_fft 1024, hop 256; mel: the mel bands.
- spectral convergence: norm of the difference of the magnitudes divided by the norm of the true ones; n_fft 1024, hop
  256.

The table is printed and written to runs/benchmarks/inversion.csv and inversion.md.
"""

import os

NUM_THREADS = 2
os.environ["OMP_NUM_THREADS"] = str(NUM_THREADS)

import functools
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import librosa
import numpy as np
import pandas as pd
import tensorflow as tf
from absl import flags
from absl.flags import FlagValues

from benchmarks.timing import take_turns
from common import audio, files
from common.cli import app
from common.corpora import manifest, synthetic_metal
from common.errors import UserError
from common.features import inversion, spectral

_FOLDER = Path("runs/benchmarks")
_RATE, _SECONDS = 22_050, 6
_N_FFT, _HOP, _NUM_MELS = 400, 200, 64
_MEL = {"sample_rate": _RATE, "num_mels": _NUM_MELS, "n_fft": _N_FFT}
_FINE = {"n_fft": 1024, "hop_length": 256}
_DYNAMIC_RANGE_DB = 80.0
_NUM_SONGS = 5


def define_flags(flag_values: FlagValues) -> None:
    """Define the flag of this entry point."""
    flags.DEFINE_string("data_dir", None, "folder of recordings; synthetic songs by default", flag_values=flag_values)


def main(flag_values: FlagValues, positional: Sequence[str] = ()) -> None:
    """Measure, print one table and write it."""
    if len(positional):
        raise UserError(f"{positional[0]} is not expected; use --data_dir=FOLDER")
    tf.config.threading.set_intra_op_parallelism_threads(NUM_THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(NUM_THREADS)
    with tempfile.TemporaryDirectory() as folder:
        excerpts = read_excerpts(find_recordings(flag_values.data_dir) if flag_values.data_dir else make_songs(folder))
    table = measure(excerpts)
    title = (
        f"TensorFlow {tf.__version__}, librosa {librosa.__version__}; {os.cpu_count()} cores, {NUM_THREADS} threads; "
        f"{len(excerpts)} excerpts of {_SECONDS} s from {flag_values.data_dir or 'synthetic songs'}"
    )
    with files.atomic_path(_FOLDER / "inversion.csv") as temporary:
        table.to_csv(temporary, index=False)
    rows = [table.columns, ["---"] * len(table.columns), *table.to_numpy()]
    lines = "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)
    files.write_text(_FOLDER / "inversion.md", f"{title}\n\n{lines}")
    print(title)
    print(table.to_string(index=False))
    print("seconds per excerpt: median, fastest and slowest; ratio: median relative to the first route")


def find_recordings(folder: str) -> list[str]:
    """Return the paths of the recordings below a folder.

    Raises:
        UserError: The folder is missing or has no audio.
    """
    return manifest.recordings_below(Path(folder), "--data_dir")["path"].tolist()


def make_songs(folder: str) -> list[str]:
    """Generate metal songs, and return the paths of their mixtures."""
    rows = synthetic_metal.index(folder, num_songs=_NUM_SONGS, seconds=_SECONDS + 1.0, sample_rate=_RATE)
    return rows["path"].tolist()


def read_excerpts(paths: list[str]) -> np.ndarray:
    """Return the middle of every recording, shape `(excerpts, samples)`; those that are too short are left out.

    Raises:
        UserError: None is long enough.
    """
    num_samples = _SECONDS * _RATE
    waveforms = [audio.read(path, _RATE)[0] for path in paths]
    starts = [(len(waveform) - num_samples) // 2 for waveform in waveforms]
    excerpts = [
        waveform[start : start + num_samples] for waveform, start in zip(waveforms, starts, strict=True) if start >= 0
    ]
    if not excerpts:
        raise UserError(f"none of {len(paths)} recordings is {_SECONDS} s long or more; choose another folder")
    return np.stack(excerpts)


def measure(excerpts: np.ndarray) -> pd.DataFrame:
    """Return one row per route: mean distances from the excerpts, and the time in seconds."""
    mels = spectral.mel_spectrogram(excerpts, hop_length=_HOP, **_MEL).numpy()
    magnitudes = np.abs(spectral.stft(excerpts, _N_FFT, _HOP))
    narrow = np.abs(spectral.stft(excerpts, _N_FFT, _HOP // 2))
    routes = {
        "ours, 64 iterations": (our_inversion(64), mels),
        "ours, 32 iterations": (our_inversion(32), mels),
        "librosa, its defaults (32 iterations)": (their_inversion(32), mels),
        "librosa, 64 iterations": (their_inversion(64), mels),
        "from true magnitudes, 64 iterations": (our_griffin_lim(_HOP), magnitudes),
        f"the same, hop {_HOP // 2}": (our_griffin_lim(_HOP // 2), narrow),
    }
    restored = {name: [] for name in routes}

    def restore(name: str, number: int) -> None:
        route, inputs = routes[name]
        restored[name].append(route(inputs[number]))

    seconds = []
    for number in (0, *range(len(excerpts))):
        calls = {name: functools.partial(restore, name, number) for name in routes}
        seconds.append(take_turns(calls, 1))
    # The first round traces.
    seconds = pd.concat(seconds[1:])
    return pd.DataFrame(
        {
            "route": name,
            **distances(excerpts, np.stack(waveforms[1:])),
            "median s": f"{seconds[name].median():.3f}",
            "low": f"{seconds[name].min():.3f}",
            "high": f"{seconds[name].max():.3f}",
            "ratio": f"{seconds[name].median() / seconds.iloc[:, 0].median():.2f}",
        }
        for name, waveforms in restored.items()
    )


def our_inversion(num_iterations: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return our function from mel power `(frames, num_mels)` to a waveform."""

    @tf.function(input_signature=[tf.TensorSpec((None, _NUM_MELS))])
    def invert(mel):
        mel_db = spectral.power_to_db(mel, top_db=None)
        return inversion.mel_db_to_waveform(mel_db, hop_length=_HOP, num_iterations=num_iterations, **_MEL)

    return lambda mel: invert(mel).numpy()


def their_inversion(num_iterations: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function of librosa with the same input and output."""
    return lambda mel: librosa.feature.inverse.mel_to_audio(
        mel.T, sr=_RATE, n_fft=_N_FFT, hop_length=_HOP, n_iter=num_iterations
    )


def our_griffin_lim(hop_length: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return our function from magnitudes `(frames, bins)` to a waveform."""
    invert = tf.function(
        lambda magnitude: inversion.griffin_lim(magnitude, hop_length),
        input_signature=[tf.TensorSpec((None, 1 + _N_FFT // 2))],
    )
    return lambda magnitude: invert(magnitude).numpy()


def distances(excerpts: np.ndarray, restored: np.ndarray) -> dict[str, str]:
    """Return the mean distances of waveforms, both of shape `(excerpts, samples)`; the excerpts may be longer."""
    excerpts = excerpts[:, : restored.shape[1]]
    expected, actual = (np.abs(spectral.stft(waveforms, **_FINE)) for waveforms in (excerpts, restored))
    mels = [spectral.mel_spectrogram(waveforms, hop_length=_HOP, **_MEL).numpy() for waveforms in (excerpts, restored)]
    convergence = np.linalg.norm(actual - expected, axis=(1, 2)) / np.linalg.norm(expected, axis=(1, 2))
    return {
        "linear LSD, dB": f"{log_spectral_distance(expected**2, actual**2).mean():.2f}",
        "mel LSD, dB": f"{log_spectral_distance(*mels).mean():.2f}",
        "convergence": f"{convergence.mean():.3f}",
    }


def log_spectral_distance(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Return the log-spectral distance in dB of power spectrograms (excerpts, frames, bins), shape `(excerpts,)`."""
    floor = np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-10) * 10 ** (-_DYNAMIC_RANGE_DB / 10)
    difference_db = 10 * np.log10(np.maximum(expected, floor) / np.maximum(actual, floor))
    return np.sqrt(np.mean(difference_db**2, axis=2)).mean(axis=1)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

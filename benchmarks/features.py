"""Throughput of the MFCC of the report in clips per second: librosa, PyTorch and ours; `python -m benchmarks.features`.

All compute the same features from the same batch in memory. They take turns, so that other load on the machine affects
all of them equally. librosa is called once per batch in one process; the others have two threads.
"""

import os

NUM_THREADS = 2
os.environ["OMP_NUM_THREADS"] = str(NUM_THREADS)

from collections.abc import Callable

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import librosa
import numpy as np
import pandas as pd
import tensorflow as tf

from benchmarks.example_corpora import glides
from benchmarks.timing import take_turns
from common import features
from common.features import spectral

try:
    import torch
except ImportError:
    torch = None

SAMPLE_RATE = 22050
NUM_CLIPS = 256
NUM_REPEATS = 15
NUM_MFCC = 13


def main() -> None:
    """Measure, and print one table."""
    tf.config.threading.set_intra_op_parallelism_threads(NUM_THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(NUM_THREADS)
    clips = glides.waveforms(NUM_CLIPS, SAMPLE_RATE, SAMPLE_RATE)
    tensor = tf.constant(clips)
    layer = features.MFCC(sample_rate=SAMPLE_RATE, num_mfcc=NUM_MFCC)
    graph = tf.function(layer, autograph=False)
    compiled = tf.function(layer, autograph=False, jit_compile=True)
    routes = {
        "librosa": lambda: librosa.feature.mfcc(y=clips, sr=SAMPLE_RATE, n_mfcc=NUM_MFCC).swapaxes(-1, -2),
        "torch.stft": torch_mfcc(clips) if torch else None,
        "ours, graph": lambda: graph(tensor).numpy(),
        "ours, XLA": lambda: compiled(tensor).numpy(),
    }
    installed = {name: route for name, route in routes.items() if route}
    # In a batch, librosa clips all values 80 dB below the loudest clip, so single clips are the reference.
    reference = np.stack([librosa.feature.mfcc(y=clip, sr=SAMPLE_RATE, n_mfcc=NUM_MFCC).T for clip in clips])
    differences = {
        name: np.abs(route() - reference).max() / np.abs(reference).max() for name, route in installed.items()
    }
    seconds = take_turns(installed, NUM_REPEATS).median().reindex(list(routes))

    table = pd.DataFrame({"clips/s": NUM_CLIPS / seconds})
    table["x librosa"] = seconds["librosa"] / seconds
    table["x torch.stft"] = seconds["torch.stft"] / seconds
    table["difference"] = pd.Series(differences)
    columns = {"clips/s": "{:,.0f}".format, "difference": "{:.0e}".format}
    print(
        f"MFCC of {NUM_CLIPS} clips of 1 s at {SAMPLE_RATE} Hz; {os.cpu_count()} cores, medians of {NUM_REPEATS} rounds"
    )
    print(table.to_string(float_format="{:.1f}".format, formatters=columns, na_rep="not installed"))
    print("difference: from librosa on single clips; its batched call clips quiet clips relative to the loudest clip")


def torch_mfcc(clips: np.ndarray) -> Callable[[], np.ndarray]:
    """Return a function that computes the MFCC of the clips by `torch.stft`."""
    torch.set_num_threads(NUM_THREADS)
    waveforms = torch.from_numpy(clips)
    window = torch.from_numpy(spectral.window_samples("hann", None, 2048))
    filters = torch.from_numpy(spectral.mel_filterbank(SAMPLE_RATE))
    cosines = torch.from_numpy(spectral.dct(np.eye(filters.shape[1], dtype=np.float32), NUM_MFCC).numpy())

    @torch.inference_mode()
    def compute() -> np.ndarray:
        spectrum = torch.stft(
            waveforms, 2048, 512, window=window, center=True, pad_mode="constant", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        decibels = 10 * torch.log10(torch.clamp(power.transpose(1, 2) @ filters, min=1e-10))
        decibels = torch.maximum(decibels, decibels.amax(dim=(1, 2), keepdim=True) - 80)
        return (decibels @ cosines).numpy()

    return compute


if __name__ == "__main__":
    main()

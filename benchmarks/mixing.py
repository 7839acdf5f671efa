"""Training of M5 for speaker counting, including mixing, compared with PyTorch; `python -m benchmarks.mixing`.

Both sides mix one to three random one-second excerpts of the same recordings in memory, in batches of 32, new in every
step, and train with Adam. Ours is `model.fit` on the pipeline of the toolkit. PyTorch uses the usual training loop,
compiled, with a `DataLoader` that mixes with NumPy in the main process or in one worker process. All routes take turns.

The table is printed and written to runs/benchmarks/mixing.csv and mixing.md.
"""

import os

NUM_THREADS = 2
os.environ["OMP_NUM_THREADS"] = str(NUM_THREADS)

import dataclasses
import warnings
from collections.abc import Iterator
from pathlib import Path

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
import torch

from benchmarks import peers
from benchmarks.networks import Route, markdown, rows_of
from benchmarks.timing import take_turns
from common import files
from common.data import shards
from common.data.speech_bank import SpeechBank
from common.training import loop, optimizers
from counting import data
from counting.config import VARIANTS
from counting.models import build_model, compile_model

_STEPS = 60
_ROUNDS = 9
_SPEAKERS, _SECONDS, _RATE = 140, 14, 16000
_FOLDER = Path("runs/benchmarks")
_CONFIG = dataclasses.replace(VARIANTS["report-m5"], epoch_examples=_STEPS * 32)


def main() -> None:
    """Measure, print one table and write it."""
    tf.config.threading.set_intra_op_parallelism_threads(NUM_THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(NUM_THREADS)
    torch.set_num_threads(NUM_THREADS)
    warnings.filterwarnings("ignore", module="torch")
    bank = recordings()
    split = data.Split("train", None, bank, None)
    mixed = data.build_dataset(_CONFIG, split, training=True)
    alone = shards.finish(mixed.take(_STEPS).cache().repeat())
    routes = {
        "ours": our_training(mixed),
        "ours, mixtures made before": our_training(alone),
        "our pipeline alone": our_pipeline(mixed),
        **{
            f"PyTorch {kind}, {where}": their_training(bank, workers, compiled=kind == "compiled")
            for kind in ("eager", "compiled")
            for where, workers in (("mixing in the process", 0), ("mixing in a worker", 1))
        },
    }
    take_turns(routes, 2)  # traces, compiles, and settles
    rates = _STEPS * _CONFIG.batch_size / take_turns(routes, _ROUNDS)
    rows = rows_of("M5 with mixing, batch 32", "examples/s", rates, rates["ours"].median() / rates.median())
    table = pd.DataFrame(rows)
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}, PyTorch {torch.__version__}"
    title = f"{versions}; {os.cpu_count()} cores, {NUM_THREADS} threads; medians, and the fastest and slowest round"
    with files.atomic_path(_FOLDER / "mixing.csv") as temporary:
        table.to_csv(temporary, index=False)
    files.write_text(_FOLDER / "mixing.md", f"{title}\n\n{markdown(table)}")
    print(title)
    print(table.to_string(index=False))
    print("ratio: median speed of ours divided by that of the route")


def recordings() -> SpeechBank:
    """Generate recordings of noise; their content does not affect the speed."""
    samples = _SECONDS * _RATE
    pcm = np.random.default_rng(0).integers(-3000, 3000, _SPEAKERS * samples, np.int16)
    table = pd.DataFrame(
        {
            "path": "",
            "speaker": [f"speaker{number}" for number in range(_SPEAKERS)],
            "sex": ["FM"[number % 2] for number in range(_SPEAKERS)],
            "first": np.arange(_SPEAKERS) * samples,
            "num_samples": samples,
            "start": 0,
        }
    )
    return SpeechBank(pcm, table, np.arange(len(pcm) // 160 + 1), _RATE)


def our_training(dataset: tf.data.Dataset) -> Route:
    """Return a function that trains our M5 on the batches of a round."""
    loop.prepare(_CONFIG)
    model = build_model(_CONFIG)
    compile_model(model, _CONFIG, optimizers.build_optimizer(_CONFIG, _STEPS), optimizers.steps_per_execution(_STEPS))
    return lambda: model.fit(dataset, steps_per_epoch=_STEPS, verbose=0, shuffle=False)


def our_pipeline(dataset: tf.data.Dataset) -> Route:
    """Return a function that mixes the batches of a round."""

    def mix() -> None:
        for _ in dataset.take(_STEPS):
            pass

    return mix


class _Mixtures(torch.utils.data.IterableDataset):
    """The same mixtures in NumPy: one batch per item."""

    def __init__(self, bank: SpeechBank):
        self.pcm = bank.pcm
        self.firsts = bank.table["first"].to_numpy()

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rng = np.random.default_rng(0)
        for _ in range(_STEPS):
            counts = np.arange(_CONFIG.batch_size) % 3 + 1
            waveforms = np.zeros((len(counts), _RATE), np.float32)
            for waveform, count in zip(waveforms, counts, strict=True):
                for speaker in rng.choice(_SPEAKERS, count, replace=False):
                    start = self.firsts[speaker] + rng.integers((_SECONDS - 1) * _RATE)
                    waveform += self.pcm[start : start + _RATE]
                waveform /= 2**15 * count
            yield waveforms, counts - 1


def their_training(bank: SpeechBank, workers: int, *, compiled: bool) -> Route:
    """Return a function that trains the PyTorch network on the batches of a round."""
    net = peers.M5(3)
    optimizer = torch.optim.Adam(net.parameters(), _CONFIG.learning_rate, eps=1e-7, fused=True)
    forward = torch.compile(net) if compiled else net
    loader = torch.utils.data.DataLoader(
        _Mixtures(bank), batch_size=None, num_workers=workers, persistent_workers=bool(workers)
    )

    def train() -> tuple[float, int]:
        total, correct = torch.zeros(()), torch.zeros((), dtype=torch.long)
        for waveforms, classes in loader:
            optimizer.zero_grad()
            logits = forward(waveforms)
            loss = torch.nn.functional.cross_entropy(logits, classes)
            loss.backward()
            optimizer.step()
            total += loss.detach()
            correct += (logits.argmax(1) == classes).sum()
        return float(total), int(correct)

    return train


if __name__ == "__main__":
    main()

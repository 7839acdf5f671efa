"""Separation: training speed compared with PyTorch, real-time factor and memory; `python -m benchmarks.separation`.

- Training: a five-level U-Net learns masks of 512 bins by 128 frames in batches of four, with the L1 loss of masked
  magnitudes, by `model.fit` and by the usual PyTorch loop, eager and compiled. All routes have the same data in memory
  and take turns.
- Speed: one minute of noise is separated as in `separation.predict`, including overlap, by the U-Net with soft masks
  and by the variant `default` at 16 kHz mono, and by `default` at 44.1 kHz stereo.
- Memory: `separation.predict` processes five minutes and one hour of audio, each in a separate process; its peak memory
  is measured.

The table is printed and written to runs/benchmarks/separation.csv and separation.md.
"""

import os

NUM_THREADS = 2
os.environ["OMP_NUM_THREADS"] = str(NUM_THREADS)

import dataclasses
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import keras
import numpy as np
import pandas as pd
import soundfile
import tensorflow as tf
import torch

from benchmarks import peers
from benchmarks.networks import Route, markdown, rows_of
from benchmarks.timing import take_turns
from common import files, runs
from common.data import shards
from common.training import loop, optimizers
from separation.config import TASK, VARIANTS, Config
from separation.models import build_model, for_inference
from separation.networks.unet import unet

_FOLDER = Path("runs/benchmarks")
_STEPS, _BATCH, _FRAMES, _BINS = 8, 4, 128, 512
_TRAINING_ROUNDS, _ROUNDS = 9, 5
_SECONDS = 60
_UNET = dataclasses.replace(VARIANTS["report"], sample_rate=16_000, num_channels=1)
_DEFAULT = dataclasses.replace(VARIANTS["default"], sample_rate=16_000, num_channels=1)
_STEREO = dataclasses.replace(VARIANTS["default"], sample_rate=44_100, num_channels=2)
_MEMORY = (
    "import resource, sys; from common.cli import app; from separation import predict;"
    "code = app.run(predict.main, predict.define_flags, sys.argv[1:]);"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
)


def main() -> None:
    """Measure, print one table and write it."""
    tf.config.threading.set_intra_op_parallelism_threads(NUM_THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(NUM_THREADS)
    torch.set_num_threads(NUM_THREADS)
    warnings.filterwarnings("ignore", module="torch")
    rows = [*measure_training(), *measure_separation(), *measure_memory()]
    table = pd.DataFrame(rows)
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}, PyTorch {torch.__version__}"
    title = f"{versions}; {os.cpu_count()} cores, {NUM_THREADS} threads; medians, and the fastest and slowest round"
    with files.atomic_path(_FOLDER / "separation.csv") as temporary:
        table.to_csv(temporary, index=False)
    files.write_text(_FOLDER / "separation.md", f"{title}\n\n{markdown(table)}")
    print(title)
    print(table.to_string(index=False))
    print("ratio: median speed of ours divided by that of the route; for memory, one hour relative to five minutes")


def measure_training() -> list[dict]:
    """Return one row per route with the training speed in patches per second."""
    rng = np.random.default_rng(0)
    mixture = np.abs(rng.normal(0, 1, (_STEPS, _BATCH, _FRAMES, _BINS, 1))).astype(np.float32)
    stem = mixture * rng.uniform(0, 1, mixture.shape).astype(np.float32)
    routes = {
        "ours": our_training(mixture, stem),
        "PyTorch eager": their_training(mixture, stem, torch.contiguous_format),
        "PyTorch eager, channels last": their_training(mixture, stem, torch.channels_last),
        "PyTorch compiled": their_training(mixture, stem, torch.contiguous_format, compiled=True),
        "PyTorch compiled, channels last": their_training(mixture, stem, torch.channels_last, compiled=True),
    }
    take_turns(routes, 2)
    rates = _STEPS * _BATCH / take_turns(routes, _TRAINING_ROUNDS)
    ratios = rates["ours"].median() / rates.median()
    return rows_of(f"U-Net, training, batch {_BATCH}", "patches/s", rates, ratios)


def our_training(mixture: np.ndarray, stem: np.ndarray) -> Route:
    """Return a function that trains our U-Net on all batches once, as in the toolkit."""
    loop.prepare(_UNET)
    features = keras.Input((_FRAMES, _BINS, 1))
    masks = keras.layers.Activation("sigmoid")(unet(_UNET, features, 1))
    model = keras.Model(features, keras.layers.Multiply()([features, masks]))
    model.compile(
        optimizers.build_optimizer(_UNET, _STEPS),
        keras.losses.MeanAbsoluteError(),
        jit_compile=False,
        steps_per_execution=optimizers.steps_per_execution(_STEPS),
    )
    dataset = shards.finish(tf.data.Dataset.from_tensor_slices((mixture, stem)).repeat())
    return lambda: model.fit(dataset, steps_per_epoch=_STEPS, verbose=0, shuffle=False)


def their_training(
    mixture: np.ndarray, stem: np.ndarray, layout: torch.memory_format, *, compiled: bool = False
) -> Route:
    """Return a function that trains the PyTorch network on all batches once."""
    net = peers.UNet().to(memory_format=layout)
    optimizer = torch.optim.Adam(net.parameters(), _UNET.learning_rate, eps=1e-7, fused=True)
    forward = torch.compile(net) if compiled else net
    batches = list(zip(torch.from_numpy(mixture), torch.from_numpy(stem), strict=True))

    def train() -> float:
        total = torch.zeros(())
        for features, target in batches:
            optimizer.zero_grad()
            loss = torch.nn.functional.l1_loss(features * torch.sigmoid(forward(features)), target)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return float(total)

    return train


def measure_separation() -> list[dict]:
    """Return one row per network with the seconds of audio separated per second."""
    routes = {
        "U-Net, 16 kHz mono": our_separation(_UNET),
        "default, 16 kHz mono": our_separation(_DEFAULT),
        "default, 44.1 kHz stereo": our_separation(_STEREO),
    }
    take_turns(routes, 1)
    rates = _SECONDS / take_turns(routes, _ROUNDS)
    return rows_of("separation, overlap included", "times real time", rates, rates.median() / rates.median())


def our_separation(config: Config) -> Route:
    """Return a function that separates a minute of noise."""
    loop.prepare(config)
    separator = for_inference(build_model(config), config)
    noise = np.random.default_rng(0).normal(0, 0.1, (_SECONDS * config.sample_rate, config.num_channels))
    block = noise.astype(np.float32)

    def run() -> None:
        for _ in separator.stream([block]):
            pass

    return run


def measure_memory() -> list[dict]:
    """Return rows with the peak memory of `separation.predict` for five minutes and for one hour of audio."""
    megabytes = {}
    with tempfile.TemporaryDirectory() as folder:
        run = runs.start(Path(folder) / "run", _UNET, TASK, "report")
        build_model(_UNET).save(run.model_path)
        for minutes in (5, 60):
            path = Path(folder) / f"{minutes}.wav"
            noise = np.random.default_rng(0).normal(0, 0.05, 60 * _UNET.sample_rate).astype(np.float32)
            with soundfile.SoundFile(path, "w", _UNET.sample_rate, 1, "PCM_16") as file:
                for _ in range(minutes):
                    file.write(noise)
            flags = [f"--run_dir={run.folder}", f"--output_dir={folder}/stems", str(path)]
            command = [sys.executable, "-c", _MEMORY, *flags]
            result = subprocess.run(command, capture_output=True, text=True, check=True)
            megabytes[minutes] = int(result.stdout.split()[-1]) / 1024
    values = pd.DataFrame({f"{minutes} minutes": [value] for minutes, value in megabytes.items()})
    return rows_of("memory of separation.predict", "MB", values, values.median() / values.median().iloc[0])


if __name__ == "__main__":
    main()

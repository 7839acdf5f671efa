"""Throughput of the input pipeline from shards, compared with that of the training step.

  python -m benchmarks.pipeline

Clips of noise are prepared once. Reading, augmentation and training then take turns; medians and their ratios are
printed. The first epoch of a training reads the shards for the first time, so both the first and later passes are
timed.
"""

import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import keras
import numpy as np
import soundfile
import tensorflow as tf

from common.corpora import manifest
from common.data import shards
from common.training import loop, optimizers
from kws import data
from kws.config import COMMAND_WORDS, VARIANTS
from kws.models import build_model, compile_model

_NUM_CLIPS = 4096
_ROUNDS = 5


def write_clips(root: Path, sample_rate: int) -> None:
    """Write one-second clips of noise, one folder per word."""
    rng = np.random.default_rng(0)
    for number in range(_NUM_CLIPS):
        path = root / COMMAND_WORDS[number % 10] / f"speaker{number}_nohash_0.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.1, sample_rate).astype(np.float32), sample_rate, subtype="PCM_16")


def seconds_of(dataset: tf.data.Dataset, num_batches: int) -> float:
    """Time one pass over a number of batches."""
    iterator = iter(dataset)
    begin = time.perf_counter()
    for _ in range(num_batches):
        next(iterator)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    config = dataclasses.replace(VARIANTS["report"], split_rule="official", batch_size=64, words=COMMAND_WORDS)
    augmented = dataclasses.replace(VARIANTS["default"], words=COMMAND_WORDS, batch_size=64, tau=1.0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_clips(root / "clips", 16000)
        rows = [{"path": path, "label": path.parent.name, "split": "train"} for path in (root / "clips").rglob("*.wav")]
        table = manifest.from_rows(rows)
        begin = time.perf_counter()
        prepared = shards.prepare(table, root / "shards", config.sample_rate)
        print(
            f"preparing (decode, resample 16,000 to 22,050 Hz, write): {_NUM_CLIPS / (time.perf_counter() - begin):,.0f} clips/s"
        )
        split = data.Split("train", prepared, table[:0], root)
        steps = data.steps_per_epoch(config, split)

        plain = data.build_dataset(config, split, training=True)
        full = data.build_dataset(augmented, split, training=True)
        models = {}
        for name, settings in (("report's CNN", config), ("BC-ResNet-1", augmented)):
            loop.prepare(settings)
            models[name] = build_model(settings)
            optimizer = optimizers.build_optimizer(settings, steps)
            compile_model(models[name], settings, optimizer, optimizers.steps_per_execution(steps))
        # Always the same batch, to time the step alone.
        batches = {"report's CNN": next(iter(plain)), "BC-ResNet-1": next(iter(full))}
        repeated = {
            name: shards.finish(tf.data.Dataset.from_tensors(batch).cache().repeat()) for name, batch in batches.items()
        }
        for name, model in models.items():
            model.fit(repeated[name], steps_per_epoch=steps if name == "report's CNN" else 8, verbose=0, shuffle=False)

        first_pass = seconds_of(plain, steps)
        times: dict[str, list[float]] = {}
        for _ in range(_ROUNDS):
            times.setdefault("pipeline, no augmentation", []).append(seconds_of(plain, steps) / steps)
            times.setdefault("pipeline, full augmentation", []).append(seconds_of(full, steps) / steps)
            for name, model in models.items():
                count = steps if name == "report's CNN" else 8
                begin = time.perf_counter()
                model.fit(repeated[name], steps_per_epoch=count, verbose=0, shuffle=False)
                times.setdefault(f"training step, {name}", []).append((time.perf_counter() - begin) / count)
            begin = time.perf_counter()
            models["report's CNN"].fit(plain, steps_per_epoch=steps, verbose=0, shuffle=False)
            times.setdefault("training from shards, report's CNN", []).append((time.perf_counter() - begin) / steps)

    medians = {name: statistics.median(values) for name, values in times.items()}
    print(
        f"{'':<38}clips/s   (min to max of {_ROUNDS} rounds, batches of 64, keras {keras.__version__}, tensorflow {tf.__version__})"
    )
    for name, values in times.items():
        low, high = 64 / max(values), 64 / min(values)
        print(f"{name:<38}{64 / medians[name]:7,.0f}   ({low:,.0f} to {high:,.0f})")
    plain_speed, full_speed = (medians[f"pipeline, {name} augmentation"] for name in ("no", "full"))
    report_step = medians["training step, report's CNN"]
    print(f"pipeline / training step of the report's CNN: {report_step / plain_speed:.1f} times")
    print(
        f"augmented pipeline / training step of BC-ResNet-1: {medians['training step, BC-ResNet-1'] / full_speed:.1f} times"
    )
    print(f"first pass over the shards / later passes: {first_pass / (plain_speed * steps):.2f}")


if __name__ == "__main__":
    main()

"""Cost of large corpora and speed-up by several workers: the measurements of RESULTS.md.

  python -m benchmarks.scale                        all parts; about 15 minutes on two cores
  python -m benchmarks.scale --parts=stages,memory

`stages`: CPU seconds per hour of audio for every stage from files to weights. `memory`: peak memory of preparing and
reading, by the size of the corpus. `workers`: training examples per second of one process and of two processes on this
machine, with one thread each. All parts use one-second clips of noise at the level of spoken words.
"""

import csv
import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from common import startup

startup.load_tensorflow()  # before anything imports it with its notes

import numpy as np
import pandas as pd
import soundfile
from absl import flags as absl_flags

from common.cli import app
from common.config import FlagValues
from common.training import optimizers
from kws.config import COMMAND_WORDS, VARIANTS, Config

_PARTS = ("stages", "memory", "workers")
_RATE = 16000
_BATCHES = 100
_MEMORY_HOURS = (0.5, 2.0, 8.0)
_ROUNDS = 3


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_list("parts", list(_PARTS), "parts to measure", flag_values=flag_values)
    absl_flags.DEFINE_float("hours", 1.0, "hours of audio for measuring the stages", flag_values=flag_values)
    absl_flags.DEFINE_string(
        "memory_of",
        "",
        "a folder of recordings: prepare and read it, and print the peak memory",
        flag_values=flag_values,
    )


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Measure and print."""
    app.refuse_arguments(arguments)
    if flags.memory_of:
        print(json.dumps(memory_of(Path(flags.memory_of))))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if "stages" in flags.parts:
            print(stages(write_clips(root / "stages", flags.hours), root / "shards").to_string(index=False), flush=True)
        if "memory" in flags.parts:
            print(memory(root).to_string(index=False), flush=True)
        if "workers" in flags.parts:
            print(workers(root).to_string(index=False), flush=True)


def write_clips(root: Path, hours: float) -> Path:
    """Write one-second clips of noise as WAV, one folder per word, by a thousand speakers."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3000, _RATE * 60).clip(-32768, 32767).astype(np.int16)
    for number in range(round(hours * 3600)):
        path = root / COMMAND_WORDS[number % 10] / f"speaker{number % 1000}_nohash_{number // 1000}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        first = int(rng.integers(len(noise) - _RATE))
        soundfile.write(path, noise[first : first + _RATE], _RATE)
    return root


def _config(root: Path) -> Config:
    return dataclasses.replace(
        VARIANTS["default"], corpus="folder", data_dir=str(root), words=COMMAND_WORDS, reverberation_probability=0.3
    )


def stages(root: Path, shards_dir: Path) -> pd.DataFrame:
    """Measure the CPU time of each stage in seconds per hour of audio."""
    from common.corpora import manifest
    from common.data import shards
    from kws import data
    from kws.models import build_model, compile_model

    config = _config(root)
    rows = []

    def measure(name: str, seconds_of_audio: float, work: Callable[[], object]) -> object:
        cpu, wall = time.process_time(), time.perf_counter()
        result = work()
        cost = {"processor_seconds": time.process_time() - cpu, "seconds": time.perf_counter() - wall}
        rows.append({"stage": name, **{key: value / seconds_of_audio * 3600 for key, value in cost.items()}})
        return result

    total = len(list(root.rglob("*.wav")))
    corpus = measure("index the folder", total, lambda: data.load_corpus(config, shards_dir))
    train = len(manifest.select(corpus.manifest, "train"))
    split = measure("decode into shards", train, lambda: data.prepare_split(corpus, "train"))
    at_other_rate = dataclasses.replace(corpus, config=dataclasses.replace(corpus.config, sample_rate=22050))
    measure("decode and resample into shards", train, lambda: data.prepare_split(at_other_rate, "train"))

    def read(batches) -> None:
        for _ in batches.take(_BATCHES):
            pass

    plain = shards.finish(shards.stream(split.shards, config.num_samples, config.batch_size, 0))
    seconds = _BATCHES * config.batch_size
    measure("read from shards, shuffled", seconds, lambda: read(plain))
    augmented = data.build_dataset(corpus.config, split, training=True)
    measure("read and augment", seconds, lambda: read(augmented))
    for name in ("report", "default"):
        variant = dataclasses.replace(VARIANTS[name], words=COMMAND_WORDS, batch_size=config.batch_size)
        model = build_model(variant)
        compile_model(model, variant, optimizers.build_optimizer(variant, _BATCHES), 1)
        batch = next(iter(shards.finish(data.build_dataset(corpus.config, split, training=True))))
        if variant.sample_rate != config.sample_rate:
            noise = np.random.default_rng(0).normal(0, 0.1, (config.batch_size, variant.num_samples))
            batch = (noise.astype(np.float32), batch[1])
        model.train_on_batch(*batch)

        def steps(model=model, batch=batch) -> None:
            for _ in range(_BATCHES // 5):
                model.train_on_batch(*batch)

        measure(f"one epoch of {name} ({model.count_params():,} parameters)", seconds / 5, steps)
    return pd.DataFrame(rows).round(2)


def memory(root: Path) -> pd.DataFrame:
    """Measure the peak memory of a process that prepares a corpus, and of one that reads it."""
    rows = []
    for hours in _MEMORY_HOURS:
        clips = write_clips(root / f"memory_{hours:g}", hours)
        for name in ("preparing", "reading prepared"):
            command = [sys.executable, "-m", "benchmarks.scale", f"--memory_of={clips}"]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rows.append({"hours": hours, "process": name, **json.loads(output.splitlines()[-1])})
    return pd.DataFrame(rows)


def memory_of(root: Path) -> dict[str, float]:
    """Prepare and read a folder in this process; return the peak memory in MB."""
    from kws import data

    config = dataclasses.replace(_config(root), reverberation_probability=0.0)
    before = _peak_megabytes()
    corpus = data.load_corpus(config, root.with_name(f"{root.name}_shards"))
    with_manifest = _peak_megabytes()
    split = data.prepare_split(corpus, "train")
    with_shards = _peak_megabytes()
    for _ in data.build_dataset(corpus.config, split, training=True).take(_BATCHES):
        pass
    return {
        "libraries_mb": before,
        "and_manifest_mb": with_manifest,
        "and_shards_mb": with_shards,
        "and_reading_mb": _peak_megabytes(),
    }


def _peak_megabytes() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def workers(root: Path) -> pd.DataFrame:
    """Train a speaker counter and a keyword spotter in one and in two processes in turn, one thread each."""
    from benchmarks.example_corpora.voices import write_speakers
    from benchmarks.two_workers import TRAIN, finish, start

    voices = write_speakers(root / "voices", seconds=3.0)
    clips = write_clips(root / "words", 0.5)
    tasks = {
        "counting m5": ["counting", voices, "--variant=report-m5", "--validation_mixtures=60", "--test_mixtures=60"],
        "counting default": ["counting", voices, "--validation_mixtures=60", "--test_mixtures=60"],
        "kws default": ["kws", clips],
    }
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    os.environ.update(threads)
    rows = []
    for name, (task, corpus, *flags) in tasks.items():
        common = [*flags, "--corpus=folder", f"--data_dir={corpus}", "--epochs=3", "--epoch_examples=6000"]
        common += [f"--shards_dir={root / 'shards'}"]
        speeds = []
        for number in range(_ROUNDS):
            speed = {}
            for count in (1, 2):
                folder = root / f"{task}_{flags[0] if flags else ''}_{number}_{count}"
                arguments = [task, str(folder), *common, f"--run_dir={folder / 'run'}"]
                folder.mkdir()
                if count == 2:
                    finish(start(TRAIN, arguments, folder / "log"), folder / "log", timeout=1200)
                else:
                    subprocess.run([sys.executable, "-c", TRAIN, *arguments], check=True, capture_output=True)
                with (folder / "run" / "history.csv").open() as file:
                    # The first epoch traces.
                    speed[count] = np.median([float(row["examples_per_second"]) for row in csv.DictReader(file)][1:])
            speeds.append(speed)
        table = pd.DataFrame(speeds)
        ratio = table[2] / table[1]
        rows.append(
            {
                "training": name,
                "one process, examples/s": round(table[1].median()),
                "two": round(table[2].median()),
                "times": f"{ratio.median():.2f} ({ratio.min():.2f} to {ratio.max():.2f})",
            }
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

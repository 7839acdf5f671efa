"""Memory of predictions for long recordings: `python -m benchmarks.long_recordings [--hours=0.1,1,10]`.

A tiny keyword spotter is trained on whistles. It then processes recordings of noise with one whistle per minute, each
in a separate process. The table shows the peak memory of the process and the number of words found.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from absl import flags as absl_flags

from benchmarks.example_corpora import whistles
from common.cli import app
from common.config import FlagValues

_EPOCHS = 30


def write_recording(path: Path, hours: float) -> None:
    """Write noise with one whistle per minute as FLAC."""
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", whistles.RATE, 1, "PCM_16", format="FLAC") as file:
        for minute in range(round(60 * hours)):
            sound = rng.normal(0, 1e-3, 60 * whistles.RATE)
            word = list(whistles.PITCHES_HZ)[minute % len(whistles.PITCHES_HZ)]
            whistle = whistles.whistle(word, rng)
            sound[30 * whistles.RATE :][: len(whistle)] += whistle
            file.write(sound)


def measure(run: Path, path: Path) -> tuple[float, int]:
    """Run a prediction in a separate process; return its peak memory in MB and the number of words found."""
    command = [sys.executable, "-m", "kws.predict", f"--run_dir={run}", "--output_format=csv", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"kws.predict ended with {process.returncode}")
    return usage.ru_maxrss / 1024, len(output.splitlines()) - 1


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_list("hours", ["0.1", "1", "10"], "lengths of the recordings", flag_values=flag_values)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Print the table."""
    app.refuse_arguments(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whistles.write_words(folder / "words")
        command = ["-m", "kws.train", "--variant=tiny", "--corpus=folder", f"--data_dir={folder / 'words'}"]
        places = [f"--run_dir={folder / 'run'}", f"--shards_dir={folder / 'shards'}", f"--epochs={_EPOCHS}"]
        subprocess.run([sys.executable, *command, *places, "--batch_size=4"], check=True, stdout=subprocess.DEVNULL)
        for hours in map(float, flags.hours):
            path = folder / f"{hours}.flac"
            write_recording(path, hours)
            memory, words = measure(folder / "run", path)
            rows.append({"hours": hours, "most memory in MB": round(memory), "words": words})
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

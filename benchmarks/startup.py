"""Start-up time of all commands: `python -m benchmarks.startup`.

Every entry point prints its `--help`, and one process imports TensorFlow. They take turns, so that other load on the
machine affects all of them equally. The table shows the CPU time of the process and its children, and its ratio to that
of the import.
"""

import resource
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd
from absl import flags as absl_flags

from common import progress
from common.cli import app, verbs
from common.config import FlagValues

_ENTRY_POINTS = [f"{task}.{verb}" for task, own in verbs.VERBS.items() for verb in own] + ["common.data_service"]


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_integer("rounds", 5, "number of runs of each command", lower_bound=1, flag_values=flag_values)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Measure and print."""
    app.refuse_arguments(arguments)
    commands = {"import tensorflow": ["-c", "import tensorflow"]}
    commands |= {f"{name} --help": ["-m", name, "--help"] for name in _ENTRY_POINTS}
    commands |= {"quartet": ["-m", "quartet"], "import quartet": ["-c", "import quartet"]}
    seconds = {name: [] for name in commands}
    with progress.bar(flags.rounds * len(commands), "starting", "process") as meter:
        for _ in range(flags.rounds):
            for name, command in commands.items():
                seconds[name].append(processor_seconds(command))
                meter.update()
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    whole = medians["import tensorflow"]
    table = pd.DataFrame(
        {
            "processor seconds": medians,
            "of importing TensorFlow": {name: value / whole for name, value in medians.items()},
        }
    )
    print(table.round(3).to_string())
    slowest = table.drop("import tensorflow")["of importing TensorFlow"]
    print(f"\nslowest: {slowest.idxmax()}, {slowest.max():.2f} times the import of TensorFlow")


def processor_seconds(arguments: Sequence[str]) -> float:
    """Run Python and return its CPU time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

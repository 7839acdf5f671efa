"""Check that precisions, XLA, several devices and several workers give the same metrics, per task over several seeds.

  python -m benchmarks.agreement
  python -m benchmarks.agreement --tasks=counting --ways=single,workers --num_seeds=5

Every training is short, uses a synthetic corpus, runs in a separate process with one thread for the network, and is
evaluated on held-out data; the ways take turns. `mirrored` divides the CPU into two devices, `workers` runs two
processes on loopback. For each way, the table shows the metric over the seeds, the difference of its mean from that of
`single` (float32, one device) with a 95 % interval by Student's t, and the relative speed of a step. The speed is the
median over the seeds; for each training, it is the median over all epochs but the first, which traces. The table is
printed. The metrics of every training are written to runs/benchmarks/agreement.csv row by row, so the same command
resumes after an interruption.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from absl import flags as absl_flags
from scipy import stats

from benchmarks import trainings, two_workers
from common import files
from common.cli import app
from common.config import FlagValues
from common.errors import UserError
from common.progress import bar

_PATH = Path("runs/benchmarks/agreement.csv")
_COLUMNS = ("task", "way", "seed", "figure", "examples_per_second")


class Training(NamedTuple):
    """Flags of a task, and the metric of `metrics.json` to compare."""

    flags: tuple[str, ...]
    figure: tuple[str, ...]


TASKS = {
    "kws": Training(
        ("--variant=synthetic", "--model=cnn_tdnn", "--clips_per_word=100", "--epochs=12", "--epoch_examples=1600"),
        ("accuracy",),
    ),
    "counting": Training(
        ("--variant=synthetic", "--num_voices=80", "--epochs=3", "--epoch_examples=2400", "--test_mixtures=600"),
        ("accuracy",),
    ),
    "separation": Training(
        (
            *("--variant=synthetic", "--num_songs=12", "--optimizer=adamw", "--learning_rate=0.002"),
            *("--epochs=4", "--epoch_examples=600", "--batch_size=4", "--ema_momentum=0.9"),
            *("--remix_probability=0.75", "--min_gain=0.25"),
        ),
        ("si_sdr", "vocals"),
    ),
    "generation": Training(
        ("--variant=tiny", "--epochs=12", "--epoch_examples=64", "--monitor_epochs=4"), ("frechet_distance",)
    ),
}
SINGLE, MIRRORED, WORKERS = "single", "mirrored", "workers"
WAYS = {
    SINGLE: (),
    "mixed_float16": ("--precision=mixed_float16",),
    "mixed_bfloat16": ("--precision=mixed_bfloat16",),
    "XLA": ("--jit_compile",),
    MIRRORED: ("--strategy=mirrored",),
    WORKERS: (),
}
_TRAIN_ON_TWO = """
import importlib, sys
import tensorflow as tf
from common.cli import app
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
train = importlib.import_module(sys.argv[1] + ".train")
sys.exit(app.run(train.main, train.define_flags, sys.argv[2:]))
"""


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_list("tasks", list(TASKS), "tasks to train", flag_values=flag_values)
    absl_flags.DEFINE_list("ways", list(WAYS), "ways to train each task", flag_values=flag_values)
    absl_flags.DEFINE_integer("num_seeds", 3, "number of seeds for each way", lower_bound=2, flag_values=flag_values)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Run the trainings that are missing in the table, and print it."""
    app.refuse_arguments(arguments)
    for name, chosen, known in (("tasks", flags.tasks, TASKS), ("ways", flags.ways, WAYS)):
        for one in chosen:
            if one not in known:
                raise UserError(f"--{name}: expected some of {', '.join(known)}, got {one!r}")
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    wanted = [(task, way, seed) for task in flags.tasks for seed in range(flags.num_seeds) for way in flags.ways]
    table = _known()
    done = set(table[list(_COLUMNS[:3])].itertuples(index=False, name=None))
    with bar(len(wanted), "training", "run") as meter:
        for row in wanted:
            if row not in done:
                table.loc[len(table)] = [*row, *train(*row)]
                with files.atomic_path(_PATH) as temporary:
                    table.to_csv(temporary, index=False)
            meter.update()
    chosen = table[table["task"].isin(flags.tasks) & table["way"].isin(flags.ways) & (table["seed"] < flags.num_seeds)]
    print(compare(chosen).to_string(index=False, na_rep=""))
    print(f"written: {_PATH}")


def _known() -> pd.DataFrame:
    if _PATH.exists():
        return pd.read_csv(_PATH)
    return pd.DataFrame(columns=list(_COLUMNS))


def train(task: str, way: str, seed: int) -> tuple[float, float]:
    """Train once; return the metric, and the examples per second of all epochs but the first."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        flags = [*TASKS[task].flags, f"--seed={seed}", *WAYS[way], f"--run_dir={root / 'run'}"]
        if way == WORKERS:
            log = root / "log"
            try:
                two_workers.finish(two_workers.start(two_workers.TRAIN, [task, folder, *flags], log), log, timeout=3600)
            except AssertionError as error:
                said = str(error).strip().splitlines()[-1]
                raise UserError(f"{task}, two workers, seed {seed}: the training failed: {said}") from error
        else:
            how = ["-c", _TRAIN_ON_TWO, task] if way == MIRRORED else []
            trainings.train(f"{task}, {way}, seed {seed}", task, flags, how)
        figure = json.loads((root / "run" / "metrics.json").read_text())
        for key in TASKS[task].figure:
            figure = figure[key]
        return figure, trainings.examples_per_second(root / "run")


def compare(table: pd.DataFrame) -> pd.DataFrame:
    """Compare each way with `single`: one row per task and way.

    Args:
        table: Columns task, way, seed, figure and examples_per_second, one row per training.
    """
    rows = []
    for task, of_task in table.groupby("task", sort=False):
        single = of_task[of_task["way"] == SINGLE].set_index("seed")
        for way, of_way in of_task.groupby("way", sort=False):
            of_way = of_way.set_index("seed")
            row = {
                "task": task,
                "figure": " ".join(TASKS[task].figure),
                "way": way,
                "mean": round(of_way["figure"].mean(), 4),
                "over seeds": " ".join(f"{figure:.4g}" for figure in of_way["figure"]),
            }
            if way != SINGLE and len(single) > 1:
                interval = stats.ttest_ind(of_way["figure"], single["figure"]).confidence_interval()
                difference = of_way["figure"].mean() - single["figure"].mean()
                row["difference"] = f"{difference:+.3g} ({interval.low:+.3g} to {interval.high:+.3g})"
                row["within noise"] = "yes" if interval.low <= 0 <= interval.high else "no"
                ratio = of_way["examples_per_second"] / single["examples_per_second"]
                row["times as fast"] = round(ratio.median(), 2)
            rows.append(row)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

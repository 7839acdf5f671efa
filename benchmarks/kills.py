"""Kill every step of every task at random times, restart it, and check that nothing is lost or changed.

  python -m benchmarks.kills --num_kills=200 --seed=0
  python -m benchmarks.kills --num_kills=20 --tasks=kws

For each task, the variant `tiny` is prepared, trained, evaluated, exported and used on a synthetic corpus: first
without interruption, then with `kill -9` at random times, restarting each command until it completes. All phases of a
command have the same probability, since preparation is much shorter than training; the time within a phase is uniform.
After every kill, all files with their final names are read completely. At the end, weights, history, metrics and
predictions must be bit-identical to those of the uninterrupted run, and no temporary files may remain. The exit code is
1 if anything is wrong.

To save time, processes are forked from one that has loaded TensorFlow but not used it, so that it has only one thread.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads do not survive a fork

import collections  # noqa: E402
import dataclasses  # noqa: E402
import importlib  # noqa: E402
import mmap  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from absl import flags as absl_flags  # noqa: E402

import kws  # noqa: E402, F401 - imports TensorFlow without its notes
from benchmarks import readable  # noqa: E402
from benchmarks.example_corpora import (
    riffs,
    songs,
    voices,
    whistles,  # noqa: E402
)
from common.cli import app
from common.config import FlagValues  # noqa: E402
from common.data import shards
from common.errors import UserError  # noqa: E402
from common.training import loop  # noqa: E402

_TRAIN = (
    "train --variant=tiny --deterministic --corpus=folder --data_dir={corpus} --run_dir={run} --shards_dir={shards}"
)
_EVALUATE = "evaluate --run_dir={run} --shards_dir={shards}"
_EXPORT = "export --run_dir={run} --shards_dir={shards} --formats=saved_model,litert"
# For each task the function that writes its corpus, and its commands.
TASKS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "kws": (
        lambda folder: whistles.write_words(folder, num_clips=32),
        (f"{_TRAIN} --epochs=6 --noise_probability=0.5", _EVALUATE, _EXPORT, "predict --run_dir={run} {corpus}"),
    ),
    "counting": (
        lambda folder: voices.write_speakers(folder, seconds=4.0),
        (
            f"{_TRAIN} --max_speakers=2 --epochs=5 --model=tc_resnet --dropout=0.1",
            "prepare --corpus=folder --data_dir={corpus} --shards_dir={shards} --output_dir={output} --sizes=200,20,20"
            " --max_speakers=2 --clip_seconds=1",
            _EVALUATE,
            _EXPORT,
            "predict --run_dir={run} --plot_dir={output} {corpus}/test",
        ),
    ),
    "separation": (
        lambda folder: songs.write_songs(folder, seconds=6.0),
        (
            f"{_TRAIN} --epochs=5 --ema_momentum=0.9",
            _EVALUATE,
            _EXPORT,
            "predict --run_dir={run} --output_dir={output} --output_format=flac {corpus}/test",
        ),
    ),
    "generation": (
        lambda folder: riffs.write_riffs(folder, seconds=8.0),
        (
            f"{_TRAIN} --epochs=6 --monitor_epochs=2",
            _EVALUATE,
            f"{_EXPORT} --formats=saved_model,litert",
            "generate --run_dir={run} --output_dir={output} --num_samples=6",
        ),
    ),
}
PREPARING, TRAINING, JUDGING, *_ = PHASES = (
    *("preparing", "training", "evaluating the test split", "evaluating", "exporting", "predicting"),
)
_PHASE_OF = {
    "train": PREPARING,
    "prepare": PREPARING,
    "evaluate": "evaluating",
    "export": "exporting",
    "predict": "predicting",
    "generate": "predicting",
}
# Largest number of kills of a command.
_MOST_KILLS = {"train": 8, "prepare": 3}
_MOST_OTHER_KILLS = 2
# Small, so that a corpus of seconds has many.
_SHARD_BYTES = 2**17
_LONGEST_SECONDS = 600.0


class Process:
    """A command in a separate process that reports its phase."""

    def __init__(self, task: str, arguments: Sequence[str], root: Path):
        """Start it; stderr goes to `log.txt` in `root`, stdout to `work/<verb>.out`."""
        self.verb = arguments[0]
        self.root = root
        self.phase = mmap.mmap(-1, 1)
        self.phase[0] = PHASES.index(_PHASE_OF[self.verb])
        self.begins: list[float] = []  # of each phase, in seconds
        self.exit_code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._run(task, arguments)

    def _run(self, task: str, arguments: Sequence[str]) -> None:
        os.setsid()
        for path, mode, descriptor in (
            (os.devnull, os.O_RDONLY, 0),
            (self.root / "work" / f"{self.verb}.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 1),
            (self.root / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 2),
        ):
            os.dup2(os.open(path, mode), descriptor)
        # The folder of temporary files of TensorFlow, which killed processes leave behind.
        tempfile.tempdir = str(self.root)
        code = 1
        try:
            shards._SHARD_BYTES = _SHARD_BYTES
            loop.fit = self._told(loop.fit)
            script = importlib.import_module(f"{task}.{self.verb}")
            code = app.run(script.main, script.define_flags, arguments[1:])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _told(self, fit: Callable) -> Callable:
        def told(*arguments, **options) -> None:
            self.phase[0] = PHASES.index(TRAINING)
            fit(*arguments, **options)
            self.phase[0] = PHASES.index(JUDGING)

        return told

    def wait(self, seconds: float) -> bool:
        """Wait for its end, at most the given number of seconds; return whether it has ended."""
        begin, phase = time.monotonic(), -1
        try:
            while (passed := time.monotonic() - begin) < seconds:
                if self.phase[0] != phase:
                    phase = self.phase[0]
                    self.begins.append(passed)
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.exit_code = os.waitstatus_to_exitcode(status)
                    self.begins.append(passed)
                    return True
                time.sleep(0.002)
        except KeyboardInterrupt:
            self.kill()
            raise
        return False

    def kill(self) -> str:
        """Kill it; return its phase."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return PHASES[self.phase[0]]

    def check(self) -> None:
        """Check that it ended successfully.

        Raises:
            UserError: It failed.
        """
        if self.exit_code != 0:
            raise UserError(f"{self.verb} ended with {self.exit_code}: {(self.root / 'log.txt').read_text()[-3000:]}")


@dataclasses.dataclass
class Tally:
    """The results of the kills of a task."""

    kills: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    resumed: int = 0
    complete: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)
    differences: list[str] = dataclasses.field(default_factory=list)


def command_lines(task: str, root: Path) -> list[list[str]]:
    """Fill in the commands of a task for the folder `root`."""
    names = {name: root / "work" / name for name in ("run", "shards", "output")}
    return [line.format(corpus=root / "corpus", **names).split() for line in TASKS[task][1]]


def run_undisturbed(task: str, root: Path) -> list[list[float]]:
    """Run all commands of a task; return for each the starts of its phases and its end, in seconds."""
    (root / "work").mkdir()
    phases = []
    for arguments in command_lines(task, root):
        process = Process(task, arguments, root)
        process.wait(_LONGEST_SECONDS)
        process.check()
        phases.append(process.begins)
    return phases


def draw_moment(begins: Sequence[float], rng: np.random.Generator) -> float:
    """Draw a phase of a command, and a time within it."""
    phase = rng.integers(len(begins) - 1)
    return rng.uniform(begins[phase], begins[phase + 1])


def run_disturbed(
    task: str, root: Path, phases: Sequence[Sequence[float]], rng: np.random.Generator, tally: Tally
) -> None:
    """Run all commands of a task, killing each several times."""
    (root / "work").mkdir()
    seen: dict[Path, int] = {}
    for arguments, begins in zip(command_lines(task, root), phases, strict=True):
        num_kills = int(rng.integers(1, _MOST_KILLS.get(arguments[0], _MOST_OTHER_KILLS) + 1))
        moments = [*(draw_moment(begins, rng) for _ in range(num_kills)), _LONGEST_SECONDS]
        for moment in moments:
            process = Process(task, arguments, root)
            if process.wait(moment):
                process.check()
                break
            tally.kills[process.kill()] += 1
            tally.faults += unreadable(root / "work", seen)
        tally.resumed += moment != moments[0]
    tally.faults += unreadable(root / "work", seen)
    tally.complete += 1


def unreadable(folder: Path, seen: dict[Path, int]) -> list[str]:
    """Read all files that changed since they were `seen`; return the problems.

    They are read in a separate process, since this one must not use TensorFlow.
    """
    changed = [(path, stamp) for path, stamp in readable.stamps(folder).items() if seen.get(path) != stamp]
    seen.update(changed)
    with tempfile.TemporaryFile("w+") as report:
        pid = os.fork()
        if pid == 0:
            try:
                for path, _ in changed:
                    print(readable.fault(path), file=report)
                report.flush()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        report.seek(0)
        lines = report.read().splitlines()
    if len(lines) < len(changed):
        return [f"reading {changed[len(lines)][0]} ended the process"]
    return [line for line in lines if line]


def measure(task: str, num_kills: int, rng: np.random.Generator, root: Path) -> Tally:
    """Kill the commands of a task at least the given number of times in total."""
    for module in ("train", "evaluate", "export", "predict", "generate", "prepare"):
        if (Path(__file__).parents[1] / task / f"{module}.py").exists():
            importlib.import_module(f"{task}.{module}")
    TASKS[task][0](root / "corpus")
    phases = run_undisturbed(task, root)
    (root / "work").rename(root / "undisturbed")
    took = ", ".join(f"{line.split()[0]} {one[-1]:.1f} s" for line, one in zip(TASKS[task][1], phases, strict=True))
    print(f"{task}: undisturbed: {took}", flush=True)
    tally = Tally()
    while tally.kills.total() < num_kills:
        try:
            run_disturbed(task, root, phases, rng, tally)
        except UserError as error:
            # An incomplete run can neither be compared nor continued.
            print(f"{task}: WRONG: {error}", flush=True)
            tally.faults.append(str(error))
            break
        tally.differences += readable.differences(root / "undisturbed", root / "work")
        (root / "work").rename(root / f"disturbed-{tally.complete}")
        counts = ", ".join(f"{phase} {count}" for phase, count in tally.kills.items())
        print(f"{task}: {tally.kills.total()} kills ({counts})", flush=True)
        for line in (*tally.faults, *tally.differences):
            print(f"{task}: WRONG: {line}", flush=True)
    return tally


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    absl_flags.DEFINE_integer("num_kills", 200, "number of kills over all tasks", 1, flag_values=flag_values)
    absl_flags.DEFINE_integer("seed", 0, "seed of the random times", flag_values=flag_values)
    absl_flags.DEFINE_list("tasks", list(TASKS), f"any of {', '.join(TASKS)}", flag_values=flag_values)


def main(flags: FlagValues, arguments: Sequence[str]) -> None:
    """Run all kills, and print a table."""
    app.refuse_arguments(arguments)
    begin = time.monotonic()
    rng = np.random.default_rng(flags.seed)
    rows = {}
    for task in flags.tasks:
        with tempfile.TemporaryDirectory() as folder:
            tally = measure(task, -(-flags.num_kills // len(flags.tasks)), rng, Path(folder).resolve())
        rows[task] = {
            **{phase: tally.kills[phase] for phase in PHASES},
            "kills": tally.kills.total(),
            "runs": tally.complete,
            "commands resumed": tally.resumed,
            "unreadable": len(tally.faults),
            "different": len(tally.differences),
        }
    table = pd.DataFrame(rows).T
    table.loc["all"] = table.sum()
    print(f"\n{table.T.to_string()}\n\n{time.monotonic() - begin:.0f} s")
    if table.loc["all", ["unreadable", "different"]].any():
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

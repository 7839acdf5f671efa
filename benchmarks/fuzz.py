"""Fuzz every reader with damaged and malicious input: `python -m benchmarks.fuzz --num_inputs=100000`.

An input passes if the reader returns a result or a one-line error. Findings are: any other exception, a printed
traceback, a crash, a hang, memory of more than 1 GiB above that of good inputs, a file outside the folder of the input,
an error of several lines, and any sign of executed input. Each finding is saved in a separate folder. To reproduce it,
use `--readers=NAME --first=NUMBER --num_inputs=1`; the inputs depend only on the seed and their number.

The table is printed and written to runs/fuzz/fuzz.csv, the findings to runs/fuzz/findings.csv.
"""

import collections
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from absl import flags

from benchmarks.fuzzing import mutations, worker
from benchmarks.fuzzing.readers import READERS
from common import files
from common.cli import app
from common.config import FlagValues
from common.errors import UserError

# Largest number of inputs to save per finding.
_KEPT = 3
_LARGEST_JOB = 10_000
_START_SECONDS = 300.0
# A process that uses no CPU time counts as hanging after this multiple of the limit.
_MOST_WAITING = 20


def define_flags(flag_values: FlagValues) -> None:
    """Define the flags of this entry point."""
    flags.DEFINE_integer("num_inputs", 100_000, "number of inputs over all readers", 1, flag_values=flag_values)
    flags.DEFINE_integer("seed", 0, "seed of all inputs", flag_values=flag_values)
    flags.DEFINE_integer("first", 0, "number of the first input of each reader", 0, flag_values=flag_values)
    flags.DEFINE_list("readers", list(READERS), f"any of {', '.join(READERS)}", flag_values=flag_values)
    flags.DEFINE_integer("num_processes", 2, "number of parallel processes", 1, flag_values=flag_values)
    flags.DEFINE_string("output_dir", "runs/fuzz", "folder of the table and the findings", flag_values=flag_values)


def main(flag_values: FlagValues, arguments: Sequence[str]) -> None:
    """Test all inputs, and print a table and the findings."""
    app.refuse_arguments(arguments)
    unknown = [name for name in flag_values.readers if name not in READERS]
    if unknown:
        raise UserError(f"--readers: expected any of {', '.join(READERS)}, got {unknown[0]}")
    output_dir = Path(flag_values.output_dir)
    weights = sum(READERS[name].weight for name in flag_values.readers)
    counts = {
        name: max(1, round(flag_values.num_inputs * READERS[name].weight / weights)) for name in flag_values.readers
    }
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(flag_values.seed, Path(folder), output_dir)
        pool.run(list(_jobs(counts, flag_values.first)), flag_values.num_processes)
    table = pool.table(flag_values.readers)
    output_dir.mkdir(parents=True, exist_ok=True)
    with files.atomic_path(output_dir / "fuzz.csv") as path:
        table.to_csv(path, index=False)
    with files.atomic_path(output_dir / "findings.csv") as path:
        pd.DataFrame(pool.findings, columns=["reader", "number", "kind", "detail"]).to_csv(path, index=False)
    print(table.to_string(index=False))
    for (reader, kind, place), numbers in pool.places.items():
        print(f"{len(numbers):6} x {reader} {kind} {place}; numbers {', '.join(map(str, numbers[:_KEPT]))}")
    if pool.findings:
        raise UserError(f"{len(pool.findings)} inputs are findings; they are saved in {output_dir}")


def _jobs(counts: dict[str, int], first: int) -> Iterator[tuple[str, int, int]]:
    """Yield ranges of input numbers for each reader, longest first, so that all processes end together."""
    jobs = []
    for name, count in counts.items():
        jobs += [
            (name, begin, min(begin + _LARGEST_JOB, first + count))
            for begin in range(first, first + count, _LARGEST_JOB)
        ]
    yield from sorted(jobs, key=lambda job: -READERS[job[0]].seconds * (job[2] - job[1]))


class Pool:
    """Child processes, each with a reader, and their findings."""

    def __init__(self, seed: int, folder: Path, output_dir: Path):
        self.seed, self.folder, self.output_dir = seed, folder, output_dir
        self.findings: list[tuple[str, int, str, str]] = []
        self.places: dict[tuple[str, str, str], list[int]] = collections.defaultdict(list)
        self.kinds: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
        self.seconds: dict[str, list[float]] = collections.defaultdict(list)
        self.wall_seconds: collections.Counter = collections.Counter()
        self.memory_mb: collections.Counter = collections.Counter()

    def run(self, jobs: list[tuple[str, int, int]], num_processes: int) -> None:
        """Run all jobs; after a crash, a job continues with the next number."""
        running: list[_Child] = []
        while jobs or running:
            while jobs and len(running) < num_processes:
                running.append(_Child(*jobs.pop(0), self.seed, self.folder))
            for child in list(running):
                self._listen(child)
                if not child.over:
                    continue
                running.remove(child)
                self.wall_seconds[child.name] += time.perf_counter() - child.started
                print(f"{child.name}: {sum(self.kinds[child.name].values())} inputs so far", flush=True)
                if child.fault:
                    self._find(child.name, worker.Result(child.number, child.fault, child.last_words()))
                    if child.number + 1 < child.last:
                        jobs.insert(0, (child.name, child.number + 1, child.last))
            time.sleep(0.02)

    def _listen(self, child: "_Child") -> None:
        for message in child.messages():
            if isinstance(message, tuple):
                result, seconds = message
                self.seconds[child.name].append(seconds)
                if result.kind in ("read", "refused"):
                    self.kinds[child.name][result.kind] += 1
                else:
                    self._find(child.name, result)
            else:
                self.memory_mb[child.name] = max(self.memory_mb[child.name], message // 1024)

    def _find(self, name: str, result: worker.Result) -> None:
        self.kinds[name]["finding"] += 1
        self.findings.append((name, result.number, result.kind, result.detail))
        numbers = self.places[name, result.kind, result.detail[:70]]
        numbers.append(result.number)
        print(f"{name} {result.number}: {result.kind}: {result.detail[:300]}", flush=True)
        if len(numbers) <= _KEPT:
            good = worker.inputs_of(name, self.folder / "again")
            again = mutations.mutate(good, READERS[name].targets, name, self.seed, result.number)
            for path, content in again.items():
                target = self.output_dir / "findings" / f"{name}-{self.seed}-{result.number}" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)

    def table(self, names: Sequence[str]) -> pd.DataFrame:
        """Return one row per reader: inputs, outcomes, time and memory."""
        rows = []
        for name in names:
            kinds, seconds = self.kinds[name], sorted(self.seconds[name]) or [0.0]
            rows.append(
                {
                    "reader": name,
                    "inputs": sum(kinds.values()),
                    **{kind: kinds[kind] for kind in ("read", "refused", "finding")},
                    "seconds": round(self.wall_seconds[name], 1),
                    "median_ms": round(1000 * seconds[len(seconds) // 2], 2),
                    "longest_seconds": round(seconds[-1], 2),
                    "memory_mb": self.memory_mb[name],
                }
            )
        totals = pd.DataFrame(rows).sum(numeric_only=True)
        total = {name: int(totals[name]) for name in ("inputs", "read", "refused", "finding")}
        return pd.concat([pd.DataFrame(rows), pd.DataFrame([{"reader": "all", **total, "seconds": totals["seconds"]}])])


class _Child:
    """A monitored process that works on a job."""

    def __init__(self, name: str, first: int, last: int, seed: int, folder: Path):
        self.name, self.number, self.last = name, first, last
        self.sandbox = folder / f"{name}-{first}"
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe(duplex=False)
        self.process = context.Process(target=worker.work, args=(name, seed, first, last, self.sandbox, other))
        self.process.start()
        other.close()
        self.started = self.since = time.perf_counter()
        self.since_cpu = 0.0
        self.ready = self.over = self.done = False
        self.fault = ""

    def messages(self) -> Iterator[tuple[worker.Result, float] | int]:
        """Yield the messages of the process; detect its end, a crash or a timeout."""
        try:
            while self.connection.poll():
                message = self.connection.recv()
                self.since, self.since_cpu = time.perf_counter(), self._cpu_seconds()
                if message == "ready":
                    self.ready = True
                elif isinstance(message, int) and message < self.last and not self.done:
                    self.number = message
                else:
                    self.done = isinstance(message, tuple) and message[0].number == self.last - 1
                    yield message
            limit = READERS[self.name].seconds if self.ready else _START_SECONDS
            waited, worked = time.perf_counter() - self.since, self._cpu_seconds() - self.since_cpu
            if worked > limit or waited > _MOST_WAITING * limit:
                self.fault = "hang"
                self.process.kill()
        except EOFError:
            self.process.join()
            self.over = True
            if self.process.exitcode and not self.ready:
                raise RuntimeError(f"{self.name} cannot begin: {self.last_words()}") from None
            if self.process.exitcode:
                self.fault = self.fault or f"crash (exit code {self.process.exitcode})"

    def _cpu_seconds(self) -> float:
        """Return the CPU time of the process, since on a busy machine it may wait for long."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def last_words(self) -> str:
        """Return the end of the output of the process."""
        log = self.sandbox.with_suffix(".log")
        return log.read_text(errors="replace")[-500:] if log.exists() else ""


if __name__ == "__main__":
    sys.exit(app.run(main, define_flags))

"""What may import what: one way, without circles, and inference without what training needs."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

from common.cli import verbs

ROOT = Path(__file__).resolve().parents[1]
TASKS = ("kws", "counting", "separation", "generation")
HEAVY = ("tensorflow", "keras", "librosa", "pandas", "sklearn", "matplotlib")
# The first of two may import the second, wherever they are not the same.
FLOORS = ("benchmarks", "quartet", TASKS, "common")
ENTRY_POINTS = [f"{task}.{verb}" for task, own in verbs.VERBS.items() for verb in own] + [
    "common.data_service",
    "quartet",
]


@functools.cache
def modules() -> dict[str, Path]:
    """The modules of the project by their dotted names, tests apart."""
    found = {}
    for top in ("benchmarks", "quartet", *TASKS, "common"):
        for path in (ROOT / top).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> set[str]:
    """The modules, of the project and of others, that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # What is imported from a package may be a module of it.
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


@functools.cache
def arrows() -> set[tuple[str, str]]:
    """Which module of the project imports which."""
    return {(name, other) for name, path in modules().items() for other in imported(path) & {*modules()} - {name}}


def room(name: str) -> str:
    """The package that a module is in: a task, or a package or a module of `common`."""
    top, *rest = name.split(".")
    return f"common.{rest[0]}" if top == "common" and rest else top


def floor(name: str) -> int:
    """How far down a module is; siblings are on the same floor."""
    top = name.split(".")[0]
    return next(number for number, floor in enumerate(FLOORS) if top == floor or top in floor)


def test_data_flows_one_way():
    wrong = [
        (name, other)
        for name, other in arrows()
        if room(name) != room(other) and floor(name) >= floor(other) and "common" not in (room(name)[:6], other[:6])
    ]
    wrong += [(name, other) for name, other in arrows() if name.startswith("common") and not other.startswith("common")]
    assert not wrong


def test_nothing_but_tests_imports_tests():
    assert not [name for name, path in modules().items() if any(one.split(".")[0] == "tests" for one in imported(path))]


def circles(pairs: set[tuple[str, str]]) -> set[str]:
    """Those from which arrows lead back to themselves."""
    after = {}
    for name, other in pairs:
        after.setdefault(name, set()).add(other)

    def reached(name: str) -> set[str]:
        seen, waiting = set(), [name]
        while waiting:
            for other in after.get(waiting.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return seen

    return {name for name in after if name in reached(name)}


def test_there_is_no_circle_of_packages_or_of_modules():
    assert not circles({(room(name), room(other)) for name, other in arrows() if room(name) != room(other)})
    # A package's own module may hand on what its parts have.
    assert not circles({pair for pair in arrows() if not any(one + "." in other for one in pair for other in pair)})
    assert circles({("a", "b"), ("b", "c"), ("c", "a")}) == {"a", "b", "c"}


def loaded(program: str) -> set[str]:
    """Which of `HEAVY` a fresh interpreter imports in a program, be it only for a moment."""
    command = [sys.executable, "-X", "importtime", "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.rsplit("|", 1) for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {name.strip() for _, name in lines} & {*HEAVY}


@pytest.mark.parametrize("task", TASKS)
def test_inference_needs_nothing_of_training(task):
    assert loaded(f"import {task}.inference") == set()


def test_no_entry_point_loads_anything_heavy_before_it_computes():
    assert loaded("\n".join(f"import {name}" for name in ENTRY_POINTS)) == set()


@pytest.mark.slow
def test_what_is_loaded_is_seen():
    assert loaded("import kws.models") >= {"tensorflow", "keras"}


def test_importing_changes_nothing_for_who_imports():
    program = """
import atexit, os, signal, sys
def state():
    files = [os.fstat(number) for number in range(3)]
    return (dict(os.environ), [(one.st_dev, one.st_ino) for one in files], sys.stdout, sys.stderr,
            [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)], sys.excepthook, sys.unraisablehook)
import logging, soxr  # these register at exit themselves
before, callbacks = state(), atexit._ncallbacks()
import quartet, kws, counting, separation, generation
import kws.inference, counting.inference, separation.inference, generation.inference
assert state() == before
assert atexit._ncallbacks() == callbacks, atexit._ncallbacks() - callbacks
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_another_package_called_common_is_named_in_one_line(tmp_path):
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "__init__.py").touch()
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""}
    for command, code in ((["-m", "kws.predict", "a.wav"], 1), (["-c", "import counting"], 1)):
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == code
        last = done.stderr.splitlines()[-1]
        assert f"{tmp_path / 'common' / '__init__.py'} hides Quartet's package `common`" in last
        if command[0] == "-m":
            assert done.stderr.count("\n") == 1

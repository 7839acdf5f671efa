"""The commands of each task: `python -m kws` lists them, `quartet kws predict …` runs one from any folder."""

import importlib
import sys
from collections.abc import Sequence
from importlib import metadata

from common.cli import app
from common.errors import nearest

# A verb is a module of the task with `define_flags` and `main`.
VERBS = {
    "kws": ("train", "evaluate", "predict", "export", "compare", "crossvalidate", "reproduce", "record", "calibrate"),
    "counting": ("train", "evaluate", "predict", "export", "prepare", "reproduce"),
    "separation": ("train", "evaluate", "predict", "export"),
    "generation": ("train", "evaluate", "generate", "export"),
}


def show(task: str, prefix: str = "") -> int:
    """Print the commands of a task, one line each; returns the exit code.

    Args:
        task: The task.
        prefix: What a command line begins with; `python -m <task>.` if empty.
    """
    prefix = prefix or f"python -m {task}."
    print(f"{importlib.import_module(task).__doc__}\n")
    for verb in VERBS[task]:
        print(f"  {prefix}{verb:<14} {_purpose(task, verb)}")
    print(f"\n`{prefix}{VERBS[task][0]} --help` lists the flags.")
    return 0


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `quartet TASK VERB --flags`; without a task or verb, list them.

    Args:
        arguments: The command line without the program's name; `sys.argv` unless given.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["--version"]:
        print(metadata.version("quartet-audio"))
        return 0
    if given[:1] == ["help"]:
        given = given[1:]
    task, verb = [*given, "", ""][:2]
    if task in ("", "--help", "-h"):
        for name in VERBS:
            print(f"quartet {name:<11} {', '.join(VERBS[name]):<74} {importlib.import_module(name).__doc__}")
        return 0
    if task not in VERBS:
        return _refuse(f"there is no task {task!r}; expected one of {', '.join(VERBS)}.{nearest(task, VERBS)}")
    if verb in ("", "help", "--help", "-h"):
        return show(task, f"quartet {task} ")
    if verb not in VERBS[task]:
        known = ", ".join(VERBS[task])
        return _refuse(f"{task} has no command {verb!r}; expected one of {known}.{nearest(verb, VERBS[task])}")
    module = importlib.import_module(f"{task}.{verb}")
    return app.run(module.main, module.define_flags, given[2:])


def _purpose(task: str, verb: str) -> str:
    """Return the first line of a command's description, up to its first example."""
    return importlib.import_module(f"{task}.{verb}").__doc__.strip().partition("\n")[0]


def _refuse(line: str) -> int:
    print(f"error: {line}", file=sys.stderr)
    return 2

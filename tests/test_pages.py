"""The pages: links lead somewhere, commands have the flags they are shown with, and the Python examples run."""

import importlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from common.cli.verbs import VERBS
from common.config import FlagValues
from tests.saved import RUNS, recordings

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(path for path in [*ROOT.glob("*.md"), *ROOT.glob("*/*.md")] if not path.parent.name.startswith("."))
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
READMES = ("README.md", *(f"{task}/README.md" for task in VERBS))
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))


def fences(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text: str) -> list[str]:
    """Commands in fences and in single backticks, a line each."""
    lines = [line for fence in fences(text, "") for line in fence.splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    lines += [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]
    return [line for line in lines if re.match(r"(python -m|make|quartet) \S", line)]


def unknown_flags(command: str) -> list[str]:
    """The flags of a command line that the command does not have."""
    words = shlex.split(command.split(" | ")[0].replace("…", ""))
    if words[0] == "make":
        return [word for word in words[1:] if "=" not in word and word not in TARGETS]
    task, _, verb = words[2].partition(".") if words[0] == "python" else (words[1], "", words[2])
    if task == "pytest" or not verb:
        return [] if task in (*VERBS, "pytest") else [task]
    if task == "benchmarks" and "import torch" in (ROOT / "benchmarks" / f"{verb}.py").read_text():
        return []  # only `make bench` installs PyTorch
    values = FlagValues()
    importlib.import_module(f"{task}.{verb}").define_flags(values)
    given = [word[2:].partition("=")[0] for word in words if word.startswith("--")]
    return [flag for flag in given if flag not in values and flag.removeprefix("no") not in values and flag != "help"]


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", NAMES)
def test_commands_have_the_flags_they_are_shown_with(page):
    for command in commands((ROOT / page).read_text()):
        assert not unknown_flags(command), command


def test_a_wrong_command_is_found():
    assert unknown_flags("python -m kws.train --epoch_s=3 --noresume") == ["epoch_s"]
    assert unknown_flags("make tests") == ["tests"]
    assert commands("```\nmake a\nls\n```\nor `python -m\nb`") == ["make a", "python -m b"]


@pytest.mark.parametrize("page", READMES)
def test_readmes_are_short(page):
    """Measurements are in RESULTS.md: at most four numbers per hundred words of prose."""
    text = re.sub(r"^```.*?^```|^\|.*?$|`[^`]*`|\([^)]*\)|^#.*?$", "", (ROOT / page).read_text(), flags=re.M | re.S)
    numbers = re.findall(r"\b\d[\d.,]*", text)
    assert len(numbers) <= 0.04 * len(text.split()), numbers


@pytest.mark.parametrize("page", READMES)
def test_python_examples_run(page, tmp_path, monkeypatch):
    """On the small runs of `tests/saved`; a training is left to its own tests."""
    inputs = recordings(tmp_path)
    for name, source in {"meeting.mp3": "talk", "song.mp3": "song", "an_hour.mp3": "long"}.items():
        shutil.copy(inputs / f"{source}.wav", tmp_path / name)
    for task in VERBS:
        shutil.copytree(RUNS / task, tmp_path / "runs" / task / "default")
    monkeypatch.chdir(tmp_path)
    blocks = fences((ROOT / page).read_text(), "python")
    assert blocks
    for block in blocks:
        lines = [line for line in block.splitlines() if "quartet.train(" not in line and "run.metrics" not in line]
        exec("\n".join(lines), {})


def test_pages_are_part_of_the_repository():
    """A picture that is shown and not committed is missing in every clone."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    tracked = set(subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines())
    for path in PAGES:
        for target in re.findall(r"!\[[^\]]*\]\(([^)#]+)\)", path.read_text()):
            if not target.startswith("http"):
                assert str((path.parent / target).resolve().relative_to(ROOT)) in tracked, target

"""Four siblings, one shape: every task has the same files with the same functions."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TASKS = [name for name in ("kws", "separation", "generation", "counting") if (ROOT / name).is_dir()]
FUNCTIONS = {
    "config": ["Config", "VARIANTS", "TASK"],
    "data": ["build_dataset"],
    "models": ["MODELS", "build_model", "load_model"],
    "train": ["define_flags", "main"],
    "evaluate": ["define_flags", "main"],
    "predict": ["define_flags", "main"],
    "export": ["define_flags", "main"],
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("module", FUNCTIONS)
def test_every_task_has_the_same_modules_and_functions(task, module):
    if (task, module) == ("generation", "predict"):
        module = "generate"
    found = importlib.import_module(f"{task}.{module}")
    for name in FUNCTIONS[module if module != "generate" else "predict"]:
        assert hasattr(found, name), f"{task}.{module} lacks {name}"


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_the_named_variants_and_a_page(task):
    variants = importlib.import_module(f"{task}.config").VARIANTS
    assert {"default", "report", "tiny"} <= set(variants)
    assert (ROOT / task / "README.md").exists()


ELSEWHERE = {
    "common/errors.py": "common/files/test_atomic.py",
    "common/startup.py": "common/cli/test_app.py",
    "common/progress.py": "common/data/test_shards.py",
    "common/runs.py": "common/training/test_loop.py",
    "common/training/averages.py": "common/training/test_loop.py",
    "common/export.py": "kws/test_end_to_end.py",
    **{f"counting/{name}.py": "counting/test_end_to_end.py" for name in ("train", "evaluate", "predict", "export")},
    **{f"separation/{name}.py": "separation/test_end_to_end.py" for name in ("train", "evaluate", "predict", "export")},
    **{
        f"generation/{name}.py": "generation/test_end_to_end.py"
        for name in ("train", "evaluate", "evaluation", "generate", "export")
    },
    **{f"kws/{name}.py": "kws/test_end_to_end.py" for name in ("train", "evaluate", "evaluation", "predict", "export")},
}


@pytest.mark.parametrize("package", ["common", *TASKS])
def test_every_source_has_its_test(package):
    """A module is tested in the file of its own name, or where `ELSEWHERE` says."""
    for source in (ROOT / package).rglob("*.py"):
        if source.name != "__init__.py":
            name = source.relative_to(ROOT).as_posix()
            expected = ELSEWHERE.get(name, f"{Path(name).parent.as_posix()}/test_{source.name}")
            assert (ROOT / "tests" / expected).exists(), f"{name} has no test at tests/{expected}"

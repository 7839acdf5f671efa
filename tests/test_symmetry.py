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


# Commands are tested where what they do is tested, as a user gives them.
COMMANDS = {
    "train": "end_to_end",
    "training": "end_to_end",
    "evaluate": "end_to_end",
    "predict": "end_to_end",
    "generate": "end_to_end",
    "export": "end_to_end",
    "exporting": "end_to_end",
    "compare": "comparison",
    "crossvalidate": "crossvalidation",
    "reproduce": "reproduction",
    "prepare": "preparation",
}
ELSEWHERE = {
    "common/errors.py": "common/files/test_atomic.py",
    "common/startup.py": "common/cli/test_app.py",
    "common/progress.py": "common/data/test_shards.py",
    "common/runs.py": "common/training/test_loop.py",
    "common/data_service.py": "common/distribution/test_service.py",
    "common/cli/flags.py": "common/cli/test_train.py",
    "common/cli/tensorflow_errors.py": "common/cli/test_app.py",
    "common/training/averages.py": "common/training/test_loop.py",
    "common/training/options.py": "common/cli/test_train.py",
    "common/encoders/config.py": "common/encoders/test_classifier.py",
    "common/features/choices.py": "common/encoders/test_classifier.py",
    "common/features/lengths.py": "common/features/test_framing.py",
    "common/export/graphs.py": "kws/test_end_to_end.py",
    "common/export/litert.py": "kws/test_end_to_end.py",
    "common/export/saved_model.py": "kws/test_end_to_end.py",
    "kws/evaluation.py": "kws/test_end_to_end.py",
    "generation/evaluation.py": "generation/test_end_to_end.py",
    "quartet/__main__.py": "common/cli/test_verbs.py",
    "quartet/runs.py": "test_quartet.py",
    **{f"{task}/__main__.py": "common/cli/test_verbs.py" for task in TASKS},
    **{f"{task}/{command}.py": f"{task}/test_{tested}.py" for task in TASKS for command, tested in COMMANDS.items()},
}


@pytest.mark.parametrize("package", ["common", "quartet", *TASKS])
def test_every_source_has_its_test(package):
    """A module is tested in the file of its own name, or where `ELSEWHERE` says."""
    for source in (ROOT / package).rglob("*.py"):
        if source.name != "__init__.py":
            name = source.relative_to(ROOT).as_posix()
            expected = ELSEWHERE.get(name, f"{Path(name).parent.as_posix()}/test_{source.name}")
            assert (ROOT / "tests" / expected).exists(), f"{name} has no test at tests/{expected}"

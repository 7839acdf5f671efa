"""Four siblings, one shape: every task has the same files with the same functions."""

import dataclasses
import importlib
import inspect
import typing
from pathlib import Path

import pytest

from common import config as configs
from common import former_names
from common.config import FlagValues

ROOT = Path(__file__).resolve().parents[1]
TASKS = ("kws", "separation", "generation", "counting")
# What each task has by the same name in the module of the same name; functions with the same signature.
SIBLINGS = {
    "config": ["TASK", "VARIANTS", "Config"],
    "data": [
        *("Corpus", "Split", "load_corpus", "with_corpus", "prepare_split"),
        *("build_dataset", "steps_per_epoch", "batch_files", "export_excerpts", "describe"),
    ],
    "models": ["MODELS", "build_model", "compile_model", "load_model", "load_for_inference"],
    "recordings": ["check"],
    "training": ["train_run", "compiled_model", "fit"],
    "evaluation": ["Metrics", "evaluate_split", "format_table", "save_plots"],
    "exporting": ["export_run"],
    "train": ["define_flags", "main"],
    "evaluate": ["define_flags", "main"],
    "predict": ["define_flags", "main"],
    "export": ["define_flags", "main"],
}
# What a task calls what its models are, and what else may differ: what is computed from a split before its plots are drawn.
OWN = {
    "Gan": "Model",
    **dict.fromkeys(("Predictions", "ndarray", "DataFrame", "Samples"), "details"),
    **dict.fromkeys(("KeywordSpotter", "SpeakerCounter", "StemSeparator", "MusicGenerator"), "inference"),
}


def module_of(task: str, module: str):
    return importlib.import_module(f"{task}.{'generate' if (task, module) == ('generation', 'predict') else module}")


def signature_of(function) -> tuple:
    """The parameters that have to be given, by name and kind, those of them that have types, and what is returned.

    What a task needs beyond its siblings has a default or is named by the caller.
    """
    signature = inspect.signature(function, eval_str=True)
    needed = [
        (parameter.name, _name(parameter.annotation))
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return needed, _name(signature.return_annotation)


def _name(annotation) -> str:
    """The name of a type without its module, so that those of sibling tasks compare."""
    parts = typing.get_args(annotation)
    name = getattr(annotation, "__name__", str(annotation))
    return f"{name}[{', '.join(map(_name, parts))}]" if parts else OWN.get(name, name)


@pytest.mark.parametrize("module", SIBLINGS)
def test_siblings_have_the_same_functions_with_the_same_signatures(module):
    assert all((ROOT / task).is_dir() for task in TASKS)
    for name in SIBLINGS[module]:
        found = {task: getattr(module_of(task, module), name, None) for task in TASKS}
        assert all(value is not None for value in found.values()), f"{module}.{name} is missing in {found}"
        if inspect.isfunction(found["kws"]) and (module, name) != ("evaluation", "evaluate_split"):
            signatures = {task: signature_of(function) for task, function in found.items()}
            assert all(one == signatures["kws"] for one in signatures.values()), f"{module}.{name}: {signatures}"


def test_every_task_evaluates_a_model_on_a_split_of_a_corpus():
    """Separation takes the split by its name: whole tracks are read, and need not be decoded in advance."""
    for task in TASKS:
        needed, returned = signature_of(module_of(task, "evaluation").evaluate_split)
        assert [name for name, _ in needed] == ["model", "corpus", "split"]
        assert returned == "tuple[dict, details]"


@pytest.mark.parametrize("verb", ["train", "evaluate", "export"])
def test_the_same_command_takes_the_same_flags_in_every_task(verb):
    """All that is no field of a configuration, but for what only one task computes."""
    own = {"background_dir", "num_shifts", "noise_dir", "num_mixtures", "conditions", "oracle", "full", "overlap"}
    own |= {"wiener_iterations", "num_samples", "epoch"}
    flags = {}
    for task in TASKS:
        values = FlagValues()
        module_of(task, verb).define_flags(values)
        fields = {item.name for item in dataclasses.fields(module_of(task, "config").Config)} - {"corpus", "data_dir"}
        former = {name for name in values if former_names.is_former(values, name)}
        flags[task] = set(values) - own - former - (fields if verb == "train" else set())
    assert all(names == flags["kws"] for names in flags.values()), flags
    assert flags["kws"] >= {"corpus", "data_dir", "shards_dir", "download", "run_dir"}
    assert verb == "train" or "split" in flags["kws"]


@pytest.mark.parametrize("task", TASKS)
def test_every_flag_of_train_is_in_a_group_of_its_help(task):
    values = FlagValues()
    module_of(task, "train").define_flags(values)
    by_module = values.flags_by_module_dict()
    groups = {group: {flag.name for flag in by_module[group]} for group in configs.GROUPS}
    shown = {name for name in values if not former_names.is_former(values, name)}
    assert shown - set().union(*groups.values()) == {"run_dir", "resume", "variant"}
    assert groups["data"] >= {"corpus", "data_dir", "download", "max_rejected"}
    assert groups["devices"] >= {"strategy", "precision"} and "learning_rate" in groups["training"]
    assert "model" in groups["model"]


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
    "calibrate": "operating_points",
}
ELSEWHERE = {
    "common/errors.py": "common/files/test_atomic.py",
    "common/startup.py": "common/cli/test_app.py",
    "common/former_names.py": "common/test_config.py",
    "common/log.py": "test_quartet.py",
    "common/runs.py": "common/training/test_loop.py",
    "common/data_service.py": "common/distribution/test_service.py",
    "common/cli/flags.py": "common/cli/test_train.py",
    "common/cli/export.py": "kws/test_end_to_end.py",
    "common/cli/tensorflow_errors.py": "common/cli/test_app.py",
    "common/training/callbacks.py": "common/training/test_loop.py",
    "common/training/optimizers.py": "common/training/test_loop.py",
    "common/files/names.py": "common/audio/test_listing.py",
    "common/audio/formats.py": "common/audio/test_listing.py",
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
    "kws/published.py": "kws/test_reproduction.py",
    "counting/published.py": "counting/test_reproduction.py",
    "quartet/__main__.py": "common/cli/test_verbs.py",
    **{f"{package}/common.py": "common/cli/test_verbs.py" for package in ("common", "quartet", *TASKS)},
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

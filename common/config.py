"""The base of every task's configuration: one frozen dataclass for flags, checks, `config.json` and rebuilding the model.

A field is declared once, with its help and its limits:

    @dataclasses.dataclass(frozen=True)
    class Config(TrainingConfig):
        num_mels: int = field(40, "mel bands", minimum=1)

and becomes the flag `--num_mels`, a key of `config.json` and a checked attribute.
"""

import contextlib
import dataclasses
import functools
import math
import os
import sys
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from absl import flags

from common import arguments, errors, files, former_names
from common.errors import UserError
from common.files.names import plain_name
from common.log import logger

# The precision is chosen before training; see `common.training.precision`.
AUTO = "auto"

# Every entry point has its own FlagValues, so that two tasks can be imported together.
FlagValues = flags.FlagValues
# The splits of a corpus, and the name of all three together.
SPLITS = ("train", "validation", "test")
ALL = "all"
# The groups of `--help`, in this order; flags without a group come before them.
GROUPS = ("data", "model", "augmentation", "training", "devices")
ConfigType = TypeVar("ConfigType", bound="TrainingConfig")


def field(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    group: str = "",
    formerly: str = "",
) -> Any:
    """Declare a configuration field.

    Args:
        default: The value if neither a variant nor a flag sets it.
        help: One line for `--help`, with the unit.
        minimum: Smallest value allowed.
        maximum: Largest value allowed.
        choices: The only values allowed.
        group: One of `GROUPS`: where `--help` lists this field and those declared after it. The group of the field before
            if empty.
        formerly: An earlier name, which flags and saved configurations may still have.
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "group": group,
        "formerly": formerly,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The fields that every task has.

    Raises:
        UserError: A value is of the wrong type, out of its range, or not one of its choices.
    """

    # Keys of saved configurations of earlier versions that had one possible value.
    DROPPED: ClassVar[tuple[str, ...]] = ()

    corpus: str = field("synthetic", "the corpus, or several separated by commas", group="data")
    data_dir: str = field("", "folder of the corpus in its native layout")
    max_rejected: float = field(0.05, "largest fraction of unreadable files that is accepted", minimum=0, maximum=1)
    epochs: int = field(30, "epochs of training", minimum=1, group="training")
    epoch_examples: int = field(0, "examples per epoch; 0 for the size of the training split", minimum=0)
    batch_size: int = field(64, "examples per step, over all devices", minimum=1)
    learning_rate: float = field(1e-3, "peak learning rate", minimum=0)
    ema_momentum: float = field(
        0.0,
        "EMA decay of the saved weights, e.g. 0.999; lowered automatically for short trainings; 0 turns EMA off",
        minimum=0,
        maximum=0.99999,
        formerly="average_momentum",
    )
    keep_epoch: str = field(
        "best",
        "which epoch to save: the best on validation, or the last",
        choices=("best", "last"),
    )
    seed: int = field(
        0, "seed of the initial weights, the shuffling and the augmentation", minimum=0, maximum=2**31 - 1
    )
    precision: str = field(
        "float32",
        "compute precision; auto times a few steps of each, with and without XLA, and takes the fastest",
        choices=(AUTO, "float32", "mixed_bfloat16", "mixed_float16"),
        group="devices",
    )
    jit_compile: bool = field(False, "compile the training step with XLA")

    def __post_init__(self):
        """Check every field against its declaration."""
        types = typing.get_type_hints(type(self))
        for item in dataclasses.fields(self):
            value = _checked(item, types[item.name], getattr(self, item.name))
            value = self.absolute_path(item.name, value) if is_path(item.name) else value
            object.__setattr__(self, item.name, value)

    def absolute_path(self, name: str, value: str) -> str:
        """Return the value of a field that is a path as an absolute path, so that a run works from any folder."""
        return absolute(value)

    @property
    def step_examples(self) -> int:
        """Examples per training step."""
        return self.batch_size


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(TrainingConfig):
    """A training configuration with a choice of optimizers."""

    optimizer: str = field("adam", "the optimizer", choices=("adam", "adamw", "muon", "sgd"), group="training")
    schedule: str = field("constant", "learning rate schedule", choices=("constant", "cosine"))
    warmup_epochs: float = field(0.0, "epochs of linear warm-up before the schedule", minimum=0)
    weight_decay: float = field(
        0.0, "weight decay: decoupled for adamw and muon, L2 on the gradient for sgd", minimum=0
    )


def _checked(item: dataclasses.Field, kind: Any, value: Any) -> Any:
    """Return `value` as its declared type, or raise the error line."""
    if is_path(item.name) and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        # An integer beyond all floats is as good as infinite.
        value = float(value) if abs(value) <= sys.float_info.max else math.inf
    if typing.get_origin(kind) is tuple:
        value = tuple(value) if isinstance(value, list | tuple) else value
        good = isinstance(value, tuple) and all(isinstance(part, str) and part for part in value)
        value = composed(value) if good else value
    else:
        good = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    if not good:
        expected = "a list of names" if typing.get_origin(kind) is tuple else kind.__name__
        raise UserError(f"--{item.name}: expected {expected}, got {value!r}")
    if is_path(item.name):
        return value
    minimum, maximum, choices = (item.metadata[name] for name in ("minimum", "maximum", "choices"))
    if choices is not None and value not in choices:
        hint = errors.nearest(str(value), choices)
        raise UserError(f"--{item.name}: expected one of {', '.join(choices)}, got {value!r}.{hint}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"--{item.name}: expected a finite number, got {value}")
    if minimum is not None and value < minimum:
        raise UserError(f"--{item.name}: expected at least {minimum}, got {value}")
    if maximum is not None and value > maximum:
        raise UserError(f"--{item.name}: expected at most {maximum}, got {value}")
    return value


def expanded(path: str) -> str:
    """Return a path with `~` and `~user` expanded, which shells do not do inside flags."""
    return os.path.expanduser(path)


def absolute(path: str) -> str:
    """Return a path as an absolute one, with `~` expanded; an empty path stays empty.

    Example:
        >>> absolute("/music/songs/"), absolute("")
        ('/music/songs', '')
    """
    return str(Path(expanded(path)).absolute()) if path else ""


def composed(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in the form of `common.files.names.plain_name`, to compare them with names of files and folders."""
    return tuple(map(plain_name, names))


def is_path(name: str) -> bool:
    """Whether a field or a flag of this name is a file or a folder.

    Example:
        >>> is_path("noise_dir"), is_path("corpus")
        (True, False)
    """
    return name.endswith("_dir") or name in ("output", "embedding")


def understand(flag_values: FlagValues) -> None:
    """Expand `~` in paths, compose the accents of names in lists, and refuse NaN, which every bound of absl lets through."""
    for name in flag_values:
        flag = flag_values[name]
        if former_names.is_former(flag_values, name):
            continue
        if isinstance(flag.value, str) and is_path(name):
            flag.value = expanded(flag.value)
        elif isinstance(flag.value, list):
            flag.value = list(composed(flag.value))
        elif isinstance(flag.value, float) and not math.isfinite(flag.value):
            raise UserError(f"--{name}: expected a finite number, got {flag.value}")


def define_flags(flag_values: FlagValues, variants: Mapping[str, TrainingConfig]) -> None:
    """Define `--variant`, and a flag for every field of the configuration.

    Args:
        flag_values: Where the entry point keeps its flags.
        variants: Named configurations; `--help` shows the values of `default`.
    """
    names = list(variants)
    flags.DEFINE_enum(
        "variant",
        "default",
        names,
        f"named configuration to start from: {', '.join(names)}",
        flag_values=flag_values,
    )
    define_field_flags(flag_values, variants["default"])


def define_field_flags(flag_values: FlagValues, default: TrainingConfig, names: Collection[str] | None = None) -> None:
    """Define a flag for every field of a configuration, or those of `names`; `--help` shows the configuration's values."""
    types = typing.get_type_hints(type(default))
    shown_in = _groups(default)
    for item in dataclasses.fields(default):
        if names is not None and item.name not in names:
            continue
        define = {
            bool: flags.DEFINE_bool,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }
        define = define.get(types[item.name], flags.DEFINE_list)
        with group(flag_values, shown_in[item.name]):
            define(item.name, None, describe(item, getattr(default, item.name)), flag_values=flag_values)
        if item.metadata["formerly"]:
            former_names.define(flag_values, item.metadata["formerly"], item.name)


def _groups(config: TrainingConfig) -> dict[str, str]:
    """Return the group of each field."""
    groups, current = {}, ""
    for item in dataclasses.fields(config):
        current = item.metadata["group"] or current
        groups[item.name] = current
    return groups


@contextlib.contextmanager
def group(flag_values: FlagValues, name: str) -> Iterator[None]:
    """Let `--help` list the flags that are defined inside under the heading `name`, one of `GROUPS`.

    absl keeps the flags of each module for its own help; a group takes the place of a module here.
    """
    before = set(flag_values)
    yield
    for flag in [flag for flag in flag_values if flag not in before]:
        flag_values.register_flag_by_module(name, flag_values[flag])


def describe(item: dataclasses.Field, default: Any) -> str:
    """Return the help line of a field: meaning, choices, default."""
    text = item.metadata["help"]
    choices = item.metadata["choices"] or ()
    if not all(choice in text for choice in choices):
        text += f": {', '.join(choices)}"
    shown = (
        ",".join(default)
        if isinstance(default, tuple)
        else str(default).lower()
        if isinstance(default, bool)
        else default
    )
    return f"{text} (default {shown})" if shown != "" else text


def from_flags(flag_values: FlagValues, variants: Mapping[str, ConfigType]) -> ConfigType:
    """Return the chosen variant with the flags that were given.

    Raises:
        UserError: A value is out of its range.
    """
    variant = variants[flag_values.variant]
    return dataclasses.replace(variant, **given(flag_values, variant))


def given(flag_values: FlagValues, config: TrainingConfig) -> dict[str, Any]:
    """Return the fields of a configuration that were given as flags, with their values."""
    names = [item.name for item in dataclasses.fields(config) if item.name in flag_values]
    return {name: flag_values[name].value for name in names if flag_values[name].present}


def to_dict(config: TrainingConfig) -> dict[str, Any]:
    """Return the fields as JSON values."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(config).items()
    }


def from_dict(config_class: type[ConfigType], values: Mapping[str, Any], source: str) -> ConfigType:
    """Rebuild a configuration that `to_dict` gave.

    Args:
        config_class: The task's dataclass.
        values: Field names and values; fields left out take their default.
        source: What to call the origin in an error.

    Raises:
        UserError: A key is unknown, or a value is not allowed.
    """
    names = {item.name for item in dataclasses.fields(config_class)}
    former = {item.metadata["formerly"]: item.name for item in dataclasses.fields(config_class)}
    known, renamed = {}, []
    for key, value in values.items():
        if key in config_class.DROPPED:
            continue
        if key not in names and key not in former:
            raise UserError(f'{source}: unknown key "{key}".{errors.nearest(key, names)}')
        if key not in names:
            renamed.append(f"{key} is now called {former[key]}")
        known[key if key in names else former[key]] = value
    if renamed:
        _tell_renamed(source, "; ".join(renamed))
    try:
        return config_class(**known)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error


@functools.cache
def _tell_renamed(source: str, names: str) -> None:
    """Log renamed keys once, though a command may read the same file several times."""
    logger.info("%s: %s", source, names)


def save(config: TrainingConfig, task: str, variant: str, path: str | Path) -> None:
    """Write `config.json`: the task, the variant it started from, and every field."""
    files.write_json(path, {"task": task, "variant": variant, "config": to_dict(config)})


def load(config_class: type[ConfigType], task: str, path: str | Path) -> ConfigType:
    """Read a `config.json` that `save` wrote.

    Raises:
        UserError: The file is missing, is not JSON, is of another task, or holds an unknown key or value.
    """
    arguments.refuse_file(Path(path).parent)
    try:
        saved = files.read_json(path, "train again with another --run_dir")
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist; --run_dir takes a folder that `python -m {task}.train` made"
        ) from error
    if not isinstance(saved, dict) or not isinstance(saved.get("config"), dict):
        raise UserError(f"{path} is not the configuration of a run; train again with another --run_dir")
    if saved.get("task") != task:
        raise UserError(
            f'{path} belongs to the task "{saved.get("task")}", not "{task}"; give a run directory of {task}'
        )
    return from_dict(config_class, saved["config"], str(path))

"""One frozen dataclass a task: its flags, their checks, `config.json`, and what the model is rebuilt from.

A field is declared once, with its help and its limits:

    @dataclasses.dataclass(frozen=True)
    class Config(TrainingConfig):
        num_mels: int = field(40, "mel bands", minimum=1)

and becomes the flag `--num_mels`, a key of `config.json` and a checked attribute.
"""

import dataclasses
import functools
import logging
import math
import os
import sys
import typing
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from absl import flags

from common import errors, files
from common.errors import UserError
from common.files.names import plain_name

# How absl describes a second name of a flag.
_ALIAS = "Alias for --"
# A precision that is chosen before training begins; see `common.training.precision`.
AUTO = "auto"

# The flags of one entry point live in its own FlagValues: importing two tasks side by side never collides.
FlagValues = flags.FlagValues
# The splits of a corpus, and the name of all three together.
SPLITS = ("train", "validation", "test")
ALL = "all"
ConfigType = TypeVar("ConfigType", bound="TrainingConfig")


def field(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] | None = None,
    formerly: str = "",
) -> Any:
    """Declare a configuration field.

    Args:
        default: The value unless a variant or a flag says otherwise.
        help: What it is, with its unit; shown by `--help`.
        minimum: Smallest value allowed.
        maximum: Largest value allowed.
        choices: The only values allowed.
        formerly: An earlier name, which flags and saved configurations may still have.
    """
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices, "formerly": formerly}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """What every task's configuration has.

    Raises:
        UserError: A value is of the wrong type, out of its range, or not one of its choices.
    """

    # Keys that saved configurations of earlier versions have, and that could have one value only.
    DROPPED: ClassVar[tuple[str, ...]] = ()

    corpus: str = field("synthetic", "the corpus, or several separated by commas")
    data_dir: str = field("", "folder of the corpus in its native layout")
    epochs: int = field(30, "epochs of training", minimum=1)
    epoch_examples: int = field(0, "examples that make an epoch; 0 for as many as the training split has", minimum=0)
    batch_size: int = field(64, "examples a step, over all devices together", minimum=1)
    learning_rate: float = field(1e-3, "peak learning rate", minimum=0)
    ema_momentum: float = field(
        0.0,
        "EMA decay of the saved weights, such as 0.999; lowered by itself for short trainings; 0 turns EMA off",
        minimum=0,
        maximum=0.99999,
        formerly="average_momentum",
    )
    keep_epoch: str = field(
        "best",
        "whose weights are kept: those of the best epoch on validation, or of the last",
        choices=("best", "last"),
    )
    seed: int = field(0, "seed of the weights, the order and every random draw", minimum=0, maximum=2**31 - 1)
    precision: str = field(
        "float32",
        "compute precision; auto times some steps of training in each, with and without XLA unless --[no]jit_compile is"
        " given, and takes the fastest",
        choices=(AUTO, "float32", "mixed_bfloat16", "mixed_float16"),
    )
    jit_compile: bool = field(False, "compile the training step with XLA")
    max_rejected: float = field(0.05, "share of unreadable files that is tolerated", minimum=0, maximum=1)

    def __post_init__(self):
        """Check every field against its declaration."""
        types = typing.get_type_hints(type(self))
        for item in dataclasses.fields(self):
            object.__setattr__(self, item.name, _checked(item, types[item.name], getattr(self, item.name)))

    @property
    def step_examples(self) -> int:
        """How many examples a training step takes."""
        return self.batch_size


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(TrainingConfig):
    """What a configuration has beside that where the optimizer of a network can be chosen."""

    optimizer: str = field("adam", "update rule", choices=("adam", "adamw", "muon", "sgd"))
    schedule: str = field("constant", "learning rate over time", choices=("constant", "cosine"))
    warmup_epochs: float = field(0.0, "epochs of linear warm-up before the schedule", minimum=0)
    weight_decay: float = field(
        0.0, "weight decay: decoupled for adamw and muon, L2 on the gradient for sgd", minimum=0
    )


def _checked(item: dataclasses.Field, kind: Any, value: Any) -> Any:
    """Return `value` as its declared type, or raise the line that says why it cannot be."""
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
        return expanded(value)
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
    """Return a path with the home that `~` or `~user` at its beginning means, which a shell leaves as it is in flags."""
    return os.path.expanduser(path)


def composed(names: Iterable[str]) -> tuple[str, ...]:
    """Return names as `common.files.names.plain_name` has those of files and folders, to be compared with them."""
    return tuple(map(plain_name, names))


def is_path(name: str) -> bool:
    """Whether a field or a flag of this name is a file or a folder.

    Example:
        >>> is_path("noise_dir"), is_path("corpus")
        (True, False)
    """
    return name.endswith("_dir") or name in ("output", "embedding")


def understand(flag_values: FlagValues) -> None:
    """Read flags as what they are: paths with the home that `~` means, and lists of names with their accents composed."""
    for name in flag_values:
        flag = flag_values[name]
        if is_former_name(flag_values, name):
            continue
        if isinstance(flag.value, str) and is_path(name):
            flag.value = expanded(flag.value)
        elif isinstance(flag.value, list):
            flag.value = list(composed(flag.value))


def define_flags(flag_values: FlagValues, variants: Mapping[str, TrainingConfig]) -> None:
    """Define `--variant` and a flag for every field of the variants' dataclass.

    Args:
        flag_values: Where the entry point keeps its flags.
        variants: Named configurations; `default` is the one whose values `--help` shows.
    """
    names = list(variants)
    flags.DEFINE_enum(
        "variant",
        "default",
        names,
        f"the named configuration to start from: {', '.join(names)}",
        flag_values=flag_values,
    )
    define_field_flags(flag_values, variants["default"])


def define_field_flags(flag_values: FlagValues, default: TrainingConfig, names: Collection[str] | None = None) -> None:
    """Define a flag for every field of a configuration, or those of `names`; `--help` shows the configuration's values."""
    types = typing.get_type_hints(type(default))
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
        define(item.name, None, describe(item, getattr(default, item.name)), flag_values=flag_values)
        if item.metadata["formerly"]:
            define_former_name(flag_values, item.metadata["formerly"], item.name)


def define_former_name(flag_values: FlagValues, former: str, name: str) -> None:
    """Take a flag by an earlier name too, which `--help` does not list; a line names the new one."""
    flags.DEFINE_alias(former, name, flag_values=flag_values)


def is_former_name(flag_values: FlagValues, name: str) -> bool:
    """Whether a flag is an earlier name of another."""
    return flag_values[name].help.startswith(_ALIAS)


def tell_former_names(flag_values: FlagValues) -> None:
    """Name the new flags in the place of those that were given by an earlier name."""
    for name in flag_values:
        if is_former_name(flag_values, name) and flag_values[name].present:
            new = flag_values[name].help.removeprefix(_ALIAS).removesuffix(".")
            logging.warning("--%s is now called --%s", name, new)


def describe(item: dataclasses.Field, default: Any) -> str:
    """Say what a field means, what it may be, and what it is unless told."""
    text = item.metadata["help"]
    if item.metadata["choices"]:
        text += f": {', '.join(item.metadata['choices'])}"
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


def with_corpus(config: ConfigType, corpus: str | None, data_dir: str | None, **others: Any) -> ConfigType:
    """Return a trained configuration that looks at another corpus or folder.

    The corpus that was trained on, named or not, is divided as it was in training, wherever it lies now: else tracks would
    be tested on that were trained on.

    Args:
        config: Of the training.
        corpus: Name of a corpus; None is the one trained on.
        data_dir: Its folder; None is where it was in training, or where another corpus usually lies.
        **others: What fields that belong to the corpus trained on are for another.
    """
    if corpus in (None, config.corpus):
        return dataclasses.replace(config, data_dir=data_dir or config.data_dir)
    return dataclasses.replace(config, corpus=corpus, data_dir=data_dir or "", **others)


def to_dict(config: TrainingConfig) -> dict[str, Any]:
    """Return the fields as JSON knows them."""
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
    """Name new keys once: a command may read the same file again."""
    logging.info("%s: %s", source, names)


def save(config: TrainingConfig, task: str, variant: str, path: str | Path) -> None:
    """Write `config.json`: the task, the variant it started from, and every field."""
    files.write_json(path, {"task": task, "variant": variant, "config": to_dict(config)})


def load(config_class: type[ConfigType], task: str, path: str | Path) -> ConfigType:
    """Read a `config.json` that `save` wrote.

    Raises:
        UserError: The file is missing, is not JSON, is of another task, or holds an unknown key or value.
    """
    try:
        saved = files.read_json(path, "train again with another --run_dir")
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist; --run_dir takes a folder that `python -m {task}.train` made"
        ) from error
    if not isinstance(saved, dict) or not isinstance(saved.get("config"), dict):
        raise UserError(f"{path} is no configuration of a run; train again with another --run_dir")
    if saved.get("task") != task:
        raise UserError(
            f'{path} belongs to the task "{saved.get("task")}", not "{task}"; give a run directory of {task}'
        )
    return from_dict(config_class, saved["config"], str(path))

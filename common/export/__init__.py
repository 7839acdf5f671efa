"""The formats that a trained model is exported to.

A format is a module of `common.export`, named here once. It has

- `FILE`, the name of its file or folder in the folder of an export;
- `write(model, graph, path)`, which writes a `common.export.graphs.Graph` of a model;
- `run(path, inputs, output)`, which gives one named output of what was written, for the check that can fail.
"""

import importlib
from collections.abc import Iterable
from types import ModuleType

from common.errors import UserError, nearest

FORMATS = ("saved_model", "litert")


def check_formats(names: Iterable[str]) -> None:
    """Refuse formats that nobody can write.

    Raises:
        UserError: A name is not one of `FORMATS`.
    """
    for name in names:
        if name not in FORMATS:
            raise UserError(
                f'--formats: unknown "{name}", expected any of {", ".join(FORMATS)}.{nearest(name, FORMATS)}'
            )


def module(name: str) -> ModuleType:
    """Return the module that writes and runs a format."""
    return importlib.import_module(f"common.export.{name}")

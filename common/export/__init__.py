"""Export formats of trained models.

A format is a module of `common.export`, listed in `FORMATS`, with

- `FILE`, the name of the exported file or folder;
- `write(model, graph, path)`, which writes a `common.export.graphs.Graph` of a model;
- `run(path, inputs, output)`, which runs the export and returns one named output, for comparison with the model.
"""

import importlib
from collections.abc import Iterable
from types import ModuleType

from common.errors import UserError, nearest

FORMATS = ("saved_model", "litert")


def check_formats(names: Iterable[str]) -> None:
    """Check the names of formats.

    Raises:
        UserError: A name is not one of `FORMATS`, or there is none.
    """
    for name in list(names) or [""]:
        if name not in FORMATS:
            raise UserError(
                f'--formats: unknown "{name}", expected any of {", ".join(FORMATS)}.{nearest(name, FORMATS)}'
            )


def module(name: str) -> ModuleType:
    """Return the module that writes and runs a format."""
    return importlib.import_module(f"common.export.{name}")

"""The registry of corpora: the module for each `--corpus` name and task.

A corpus is a module with:

- `index(root, **options)`, which lists its recordings in a manifest (see `common.corpora.manifest`). It receives only
  the task's options that its signature names.
- `LAYOUT`, the expected folder layout, for messages.
- `FOLDER`, the default folder; without it, the user must give `--data_dir`.
- `download(root, **options)`, if the corpus can be downloaded.

Errors are raised as `UserError`. To add a corpus, write such a module and add a line below. Modules are imported on
first use.
"""

import contextlib
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from common.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

SYNTHETIC = "synthetic"
# Tables of corpora by the arguments of `index`, and whether tables are kept there; see `ahead`.
_ahead: dict[tuple, "pd.DataFrame"] = {}
_is_ahead: list[bool] = []
_MODULES = {
    SYNTHETIC: {
        "kws": "common.corpora.synthetic_words",
        "counting": "common.corpora.synthetic_voices",
        "separation": "common.corpora.synthetic_songs",
        "generation": "common.corpora.synthetic_metal",
    },
    "speech_commands": {"kws": "common.corpora.speech_commands"},
    "librispeech": {"counting": "common.corpora.librispeech"},
    "musdb": {"separation": "common.corpora.musdb"},
    "mir1k": {"separation": "common.corpora.mir1k"},
    "gtzan": {"generation": "common.corpora.gtzan"},
    "folder": {
        "kws": "common.corpora.folder",
        "counting": "common.corpora.speaker_folders",
        "separation": "common.corpora.track_folders",
        "generation": "common.corpora.music_folder",
    },
    "clusters": {"kws": "common.corpora.clusters"},
    "prepared": {"counting": "common.corpora.prepared_mixtures"},
}


def names(task: str) -> tuple[str, ...]:
    """Return the names of the corpora that a task can use.

    Example:
        >>> names("generation")
        ('synthetic', 'gtzan', 'folder')
    """
    return tuple(name for name, modules in _MODULES.items() if task in modules)


def module(task: str, name: str) -> ModuleType:
    """Return the module of one of a task's corpora."""
    return importlib.import_module(_MODULES[name][task])


def index(task: str, name: str, data_dir: str = "", *, download: bool = False, **options: Any) -> "pd.DataFrame":
    """List the recordings of a corpus.

    Args:
        task: Name of the task.
        name: One of `names(task)`.
        data_dir: Folder of the corpus; empty for its default folder.
        download: Whether to download a missing corpus; synthetic corpora are always generated.
        **options: All corpus options of the task.

    Returns:
        A manifest (see `common.corpora.manifest`).

    Raises:
        UserError: The folder is not given, is missing or has another layout, or the corpus cannot be downloaded.
    """
    key = (task, name, str(data_dir), download, tuple(sorted(options.items())))
    if key in _ahead and not _is_ahead:
        return _ahead.pop(key)
    corpus = module(task, name)
    root = folder_of(task, name, data_dir)
    if download and name != SYNTHETIC:
        if not hasattr(corpus, "download"):
            raise UserError(f"--download: the corpus {name} has no download address; give its folder by --data_dir")
        _call(corpus.download, root, options)
    table = _call(corpus.index, root, options)
    if _is_ahead:
        _ahead[key] = table
    return table


@contextlib.contextmanager
def ahead() -> Iterator[None]:
    """Keep the tables that the block gets from `index`, each for the next call with the same arguments.

    A command checks its corpus before it loads TensorFlow. The training then need not list the recordings again.
    """
    _is_ahead.append(True)
    try:
        yield
    finally:
        _is_ahead.pop()


def folder_of(task: str, name: str, data_dir: str = "") -> str:
    """Return the folder of a corpus: `data_dir`, or if that is empty its default folder.

    Raises:
        UserError: The folder is not given, and the corpus has no default folder.
    """
    corpus = module(task, name)
    root = data_dir or getattr(corpus, "FOLDER", "")
    if not root:
        raise UserError(f"--corpus={name} needs --data_dir, the folder of the corpus: {corpus.LAYOUT}")
    return root


def check_folder(task: str, name: str, data_dir: str = "") -> None:
    """Check that the folder of a corpus exists, without listing it; synthetic corpora are generated where they are missing.

    Raises:
        UserError: The folder is not given, or is not a folder.
    """
    root = folder_of(task, name, data_dir)
    if name != SYNTHETIC and not Path(root).is_dir():
        raise UserError(f"{root} is not a folder; expected {module(task, name).LAYOUT}: give it by --data_dir")


def _call(function: Callable, root: str, options: dict[str, Any]) -> Any:
    known = inspect.signature(function).parameters
    return function(Path(root), **{name: value for name, value in options.items() if name in known})

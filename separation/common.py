"""Imported in place of the package `common` when a file of this folder is run by its path; says how to run it."""

import sys
from pathlib import Path

_FOLDER, _SCRIPT = Path(__file__).resolve().parent, Path(sys.argv[0]).resolve()

if __name__ == "common" and _FOLDER in (_SCRIPT, _SCRIPT.parent):
    _MODULE = _FOLDER.name if _SCRIPT.stem in ("__main__", _FOLDER.name) else f"{_FOLDER.name}.{_SCRIPT.stem}"
    raise SystemExit(f"error: {sys.argv[0]} is part of a package; run python -m {_MODULE} in {_FOLDER.parent}")

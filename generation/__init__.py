"""Music generation: audio with the texture of a genre, learned from a few recordings."""

import sys

import common

if not hasattr(common, "IS_QUARTET"):
    _FOUND = f"{common.__file__} hides Quartet's package `common`; work in another folder, or rename it"
    raise SystemExit(f"error: {_FOUND}") if sys.argv[:1] == ["-m"] else ImportError(_FOUND)

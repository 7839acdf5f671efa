"""Quartet from Python: load a trained run and use it, or train one.

    >>> import quartet
    >>> spotter = quartet.load("runs/kws/default")        # doctest: +SKIP
    >>> spotter.predict("clip.wav")                       # doctest: +SKIP
    Detection(word='no', probability=0.92, accepted=True, start=0.0, end=1.0)

Importing the package is cheap: TensorFlow is loaded by `load` and `train`, and Keras settings are not changed.
"""

from importlib import metadata

import common

if not hasattr(common, "IS_QUARTET"):
    raise ImportError(f"{common.__file__} hides Quartet's package `common`; work in another folder, or rename it")

from common.errors import UserError as UserError  # noqa: E402
from common.training.options import Options as Options  # noqa: E402
from quartet.runs import TrainedRun as TrainedRun  # noqa: E402
from quartet.runs import load as load  # noqa: E402
from quartet.runs import train as train  # noqa: E402

__all__ = ["Options", "TrainedRun", "UserError", "load", "train"]


def __getattr__(name: str) -> str:
    """Return the version lazily: looking it up takes longer than the rest of the import."""
    if name == "__version__":
        return metadata.version("quartet-audio")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Quartet from Python: load a trained run and use it, or train one.

    >>> import quartet
    >>> spotter = quartet.load("runs/kws/default")        # doctest: +SKIP
    >>> spotter.predict("clip.wav")                       # doctest: +SKIP
    Detection(word='no', probability=0.92, accepted=True, start=0.0, end=1.0)

Importing the package is cheap: TensorFlow is loaded by `load` and `train`, and Keras settings are not changed.
"""

from importlib import metadata

from common.errors import UserError as UserError
from common.training.options import Options as Options
from quartet.runs import TrainedRun as TrainedRun
from quartet.runs import load as load
from quartet.runs import train as train

__all__ = ["Options", "TrainedRun", "UserError", "load", "train"]


def __getattr__(name: str) -> str:
    """Return the version lazily: looking it up takes longer than the rest of the import."""
    if name == "__version__":
        return metadata.version("quartet-audio")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

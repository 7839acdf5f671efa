"""Quartet from Python: load a trained run and use it, or train one.

    >>> import quartet
    >>> spotter = quartet.load("runs/kws/default")        # doctest: +SKIP
    >>> spotter.predict("clip.wav")                       # doctest: +SKIP
    Detection(word='no', probability=0.92, accepted=True, start=0.0, end=1.0)

Importing it does nothing else: no TensorFlow is loaded before `load` or `train` is called, Keras' settings stay as they are.
"""

from importlib import metadata

from common.errors import UserError as UserError
from common.training.options import Options as Options
from quartet.runs import TrainedRun as TrainedRun
from quartet.runs import load as load
from quartet.runs import train as train

__all__ = ["Options", "TrainedRun", "UserError", "load", "train"]


def __getattr__(name: str) -> str:
    """Tell the version when it is asked for: finding it takes longer than all else here."""
    if name == "__version__":
        return metadata.version("quartet-audio")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

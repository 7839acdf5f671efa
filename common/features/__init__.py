"""Features: pure functions of waveforms (`spectral`), and Keras layers over them.

`FEATURES` are the names of what a network of spectrograms can see, as `--features` takes them. A new one is a function from a
configuration to a layer in `choices`, and its name here; every task that classifies clips can use it then.

The layers are imported when they are asked for: names are known without Keras.
"""

import importlib
from typing import Any

FEATURES = ("log_mel", "mfcc", "spectrogram_db", "magnitude")
_LAYERS = ("FramedLayer", "GriffinLim", "InverseSpectrogram", "LogMel", "MFCC", "MelLayer", "Spectrogram", "in_type")


def __getattr__(name: str) -> Any:
    """Hand on the layers: `common.features.LogMel`."""
    if name in _LAYERS:
        return getattr(importlib.import_module(f"{__name__}.layers"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the layers too."""
    return [*globals(), *_LAYERS]

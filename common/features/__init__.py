"""Features: pure functions of waveforms (`spectral`), and Keras layers over them.

The layers are imported when they are asked for. What a network can see by the name of `--features` is in `choices`.
"""

import importlib
from typing import Any

_LAYERS = ("FramedLayer", "GriffinLim", "InverseSpectrogram", "LogMel", "MFCC", "MelLayer", "Spectrogram", "in_type")


def __getattr__(name: str) -> Any:
    """Hand on the layers: `common.features.LogMel`."""
    if name in _LAYERS:
        return getattr(importlib.import_module(f"{__name__}.layers"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the layers too."""
    return [*globals(), *_LAYERS]

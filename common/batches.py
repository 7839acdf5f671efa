"""Run a Keras model on any number of clips."""

from collections.abc import Callable

import keras
import numpy as np

from common.audio.sliding import BATCH_SIZE


def function_of(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that runs a model with only two batch shapes, because XLA recompiles for every shape.

    Args:
        model: Maps clips `(clips, samples)` to outputs `(clips, …)`, independently for each clip.

    Returns:
        A function from float32 `(clips, samples)`, at least one clip, to the outputs. A single clip is a batch of one;
        several clips are padded to full batches.
    """

    def run(clips: np.ndarray) -> np.ndarray:
        if len(clips) == 1:
            return model.predict_on_batch(clips)
        parts = []
        for first in range(0, len(clips), BATCH_SIZE):
            part = clips[first : first + BATCH_SIZE]
            filled = part
            if len(part) < BATCH_SIZE:
                filled = np.zeros((BATCH_SIZE, *clips.shape[1:]), np.float32)
                filled[: len(part)] = part
            parts.append(model.predict_on_batch(filled)[: len(part)])
        return np.concatenate(parts)

    return run

"""Run a Keras model on any number of clips or batches."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from common import progress
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


def predict(model: keras.Model, dataset: tf.data.Dataset, description: str) -> np.ndarray:
    """Return the outputs of a model for all batches of a dataset, with a progress bar.

    Args:
        model: The model.
        dataset: Batches of inputs, with or without targets.
        description: Text before the bar.
    """
    num_batches = int(dataset.cardinality())
    with progress.bar(num_batches if num_batches > 0 else None, description, "batch") as meter:
        return model.predict(dataset, verbose=0, callbacks=[_Meter(meter)])


class _Meter(keras.callbacks.Callback):
    def __init__(self, meter: tqdm):
        super().__init__()
        self.meter = meter

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None:
        # With several steps per execution, `batch` is the last of them, which may be after the end of the data.
        self.meter.update(min(batch + 1, self.meter.total or batch + 1) - self.meter.n)

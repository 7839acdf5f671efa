"""Whole songs: windows that overlap, separated in batches and joined without a click, in memory that does not grow.

The arithmetic depends on the song alone: nothing is kept from one song to the next, and the window that covers a sample
depends on where the sample is. `overlap_add` does the same inside TensorFlow, for the exported model.
"""

from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from common.features import framing
from separation import wiener
from separation.config import Config

_BATCH_SIZE = 4
WindowFunction = Callable[[np.ndarray], np.ndarray]


def triangle(config: Config) -> np.ndarray:
    """Return a window's weights: they rise and fall where windows overlap, shape `(window_samples,)`, all above 0."""
    ramp = config.window_samples - config.window_hop
    weights = np.ones(config.window_samples, np.float32)
    if ramp:
        slope = (np.arange(ramp, dtype=np.float32) + 1) / (ramp + 1)
        weights[:ramp], weights[-ramp:] = slope, slope[::-1]
    return weights


def separate(run: WindowFunction, config: Config, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Separate a song of any length as it comes in.

    A mono model separates the channels of a song one by one; for a stereo model a mono song is heard on both sides, and
    the stems are the mean of both.

    Args:
        run: From `window_function`.
        config: Of the model.
        blocks: The mixture at the configuration's rate, `(samples, channels)` of any lengths that follow each other; one
            or two channels for a stereo model.

    Yields:
        The stems `(stems, samples, channels)`, together as long as the mixture.
    """
    size, hop = config.window_samples, config.window_hop
    weights = triangle(config)[None, :, None]
    # What is not yet final: sums of weighted stems and of weights, beginning with the next window.
    sums, total = 0.0, np.zeros((1, size, 1), np.float32)
    position = length = 0
    for windows, length in _windows(blocks, config):
        for stems in run(windows):
            sums = sums + weights * stems
            total = total + weights
            done = min(hop, length - position)
            yield sums[:, :done] / total[:, :done]
            position += done
            sums = np.concatenate([sums[:, hop:], np.zeros_like(sums[:, :hop])], axis=1)
            total = np.concatenate([total[:, hop:], np.zeros_like(total[:, :hop])], axis=1)
    if position < length:
        yield sums[:, : length - position] / total[:, : length - position]


def window_function(model: keras.Model, config: Config) -> WindowFunction:
    """Return a function from windows `(windows, window_samples, channels)` to their stems, for one song after another.

    The model always gets the same number of windows, so it is compiled once, and a window's answer does not depend on how
    many there were.
    """

    @tf.function(
        input_signature=[tf.TensorSpec((_BATCH_SIZE, config.window_samples, config.channels), tf.float32)],
        autograph=False,
    )
    def stems_of(windows: tf.Tensor) -> tf.Tensor:
        return window_stems(model, config, windows)

    def run(windows: np.ndarray) -> np.ndarray:
        number, size, channels = windows.shape
        if not number:
            return np.zeros((0, len(config.stems), size, channels), np.float32)
        if config.channels == 1:
            windows = windows.transpose(0, 2, 1).reshape(number * channels, size, 1)
        elif channels == 1:
            windows = np.repeat(windows, config.channels, axis=2)
        filled = np.zeros((-(-len(windows) // _BATCH_SIZE) * _BATCH_SIZE, *windows.shape[1:]), np.float32)
        filled[: len(windows)] = windows
        batches = filled.reshape(-1, _BATCH_SIZE, *windows.shape[1:])
        stems = np.concatenate([stems_of(batch).numpy() for batch in batches])[: len(windows)]
        if config.channels == 1:
            return stems.reshape(number, channels, -1, size).transpose(0, 2, 3, 1)
        return stems if channels > 1 else stems.mean(axis=3, keepdims=True)

    return run


def window_stems(model: keras.Model, config: Config, windows: tf.Tensor) -> tf.Tensor:
    """Separate windows `(batch, window_samples, channels)` into `(batch, stems, window_samples, channels)`."""
    outputs = model(windows, training=False)
    if not config.wiener_iterations:
        return outputs["stems"]
    return wiener.filter_stems(config, windows, outputs["spectra"])


def _windows(blocks: Iterable[np.ndarray], config: Config) -> Iterator[tuple[np.ndarray, int]]:
    """Cut blocks into windows, filled up with silence at the end, in batches; beside each, how long the song is so far."""
    size, hop = config.window_samples, config.window_hop
    pending: np.ndarray | None = None
    batch: list[np.ndarray] = []
    length = 0
    for block in blocks:
        length += len(block)
        pending = block if pending is None else np.concatenate([pending, block])
        while len(pending) >= size:
            batch.append(pending[:size])
            pending = pending[hop:]
            if len(batch) == _BATCH_SIZE:
                yield np.stack(batch), length
                batch = []
    # After the last full window some samples may not be covered yet.
    covered = size - hop if length >= size else 0
    while length and len(pending) > covered:
        window = np.zeros((size, pending.shape[1]), np.float32)
        window[: len(pending)] = pending[:size]
        batch.append(window)
        pending, covered = pending[hop:], size - hop
    for first in range(0, len(batch), _BATCH_SIZE):
        yield np.stack(batch[first : first + _BATCH_SIZE]), length


def overlap_add(model: keras.Model, config: Config, mixture: tf.Tensor) -> tf.Tensor:
    """Separate a whole mixture inside TensorFlow, as `separate` does it.

    Args:
        model: From `models.load_model`.
        config: Of the model.
        mixture: Shape `(samples, channels)`, any length.

    Returns:
        Stems, shape `(stems, samples, channels)`.
    """
    size, hop, num_stems = config.window_samples, config.window_hop, len(config.stems)
    length = tf.shape(mixture)[0]
    num_windows = 1 + tf.maximum(0, -(-(length - size) // hop))
    padded = tf.pad(mixture, [[0, (num_windows - 1) * hop + size - length], [0, 0]])
    weights = triangle(config)

    def window(index: tf.Tensor) -> tf.Tensor:
        stems = window_stems(model, config, padded[None, index * hop : index * hop + size])
        return stems[0] * weights[None, :, None]

    signature = tf.TensorSpec((num_stems, size, config.channels), tf.float32)
    stems = tf.map_fn(window, tf.range(num_windows), fn_output_signature=signature, parallel_iterations=1)
    sums = framing.overlap_and_add(tf.transpose(stems, [1, 3, 0, 2]), hop)
    total = framing.overlap_and_add(tf.broadcast_to(weights, (num_windows, size)), hop)
    return tf.transpose(sums / total, [0, 2, 1])[:, :length]


def separate_track(run: WindowFunction, config: Config, mixture: np.ndarray) -> np.ndarray:
    """Separate a mixture `(samples, channels)` that is in memory; returns `(stems, samples, channels)`."""
    nothing = np.zeros((len(config.stems), 0, mixture.shape[1]), np.float32)
    return np.concatenate([nothing, *separate(run, config, [mixture])], axis=1)


def make_consistent(stems: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """Spread what the stems `(stems, samples, channels)` lack of the mixture evenly over them, so that they sum to it."""
    return stems + (mixture - stems.sum(axis=0)) / len(stems)

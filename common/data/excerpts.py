"""Excerpts of decoded audio: NumPy draws their positions at every step, and their samples are read from mapped files.

Python functions cannot run on other machines. For batches of a `tf.data` service (`common.data_service`), the draws of
the whole training are therefore made in advance, a few kilobytes per batch, and TensorFlow reads the samples.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

_SAMPLE_BYTES = 2


class Places(NamedTuple):
    """Start positions of excerpts: track numbers (-1 for none) and first samples; two arrays of the same shape."""

    tracks: np.ndarray
    starts: np.ndarray


def drawn_batches(
    draw: Callable[[int], tuple[np.ndarray, ...]], first_step: int, num_batches: int | None = None
) -> tf.data.Dataset:
    """Return a dataset of the random draws for each batch.

    Args:
        draw: Returns the draws of a step, arrays with the same types and shapes for every step.
        first_step: The step of the first batch.
        num_batches: Number of draws made in advance and then repeated, for a `tf.data` service; None draws during
            training, without end.

    Returns:
        Elements (step, *arrays).
    """
    if num_batches is not None:
        steps = np.arange(first_step, first_step + num_batches)
        arrays = (np.stack(parts) for parts in zip(*map(draw, steps), strict=True))
        return tf.data.Dataset.from_tensor_slices((steps, *arrays)).repeat()
    example = draw(first_step)

    def drawn(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        arrays = tf.numpy_function(draw, [step], [array.dtype for array in example], stateful=False)
        return step, *(tf.ensure_shape(array, known.shape) for array, known in zip(arrays, example, strict=True))

    return tf.data.Dataset.range(first_step, 2**31 - 1).map(drawn)


def read(tracks: Sequence[np.ndarray], places: Places, num_samples: int, columns: np.ndarray | int = 0) -> np.ndarray:
    """Read excerpts.

    Args:
        tracks: Memory-mapped int16 arrays `(samples, columns, channels)`, all with the same columns and channels.
        places: Start positions, of any shape.
        num_samples: Length of an excerpt; after the end of the track it is padded with zeros.
        columns: The column of the track for each excerpt; broadcast to the shape of `places`.

    Returns:
        int16 `(*shape, num_samples, channels)`; zeros where the track is -1.
    """
    shape = places.tracks.shape
    flat = (np.broadcast_to(part, shape).ravel() for part in (*places, columns))
    cuts = np.zeros((int(np.prod(shape)), num_samples, tracks[0].shape[2]), np.int16)
    for cut, track, start, column in zip(cuts, *flat, strict=True):
        if track >= 0:
            found = tracks[track][start : start + num_samples, column]
            cut[: len(found)] = found
    return cuts.reshape(*shape, *cuts.shape[1:])


def read_tensor(
    tracks: Sequence[np.ndarray],
    places: tuple[tf.Tensor, tf.Tensor],
    num_samples: int,
    columns: np.ndarray | int = 0,
    *,
    anywhere: bool = False,
) -> tf.Tensor:
    """Read excerpts in a `tf.data` pipeline; see `read`.

    Args:
        tracks: As for `read`.
        places: As for `read`; all dimensions but the first are static.
        num_samples: As for `read`.
        columns: As for `read`.
        anywhere: Whether to use TensorFlow operations only, so that other machines can read; they must see the files
            under the same names.
    """
    shape = places[0].shape
    if anywhere:
        cuts = _read_in_graph(tracks, places, num_samples, columns)
    else:
        cuts = tf.numpy_function(
            lambda *arrays: read(tracks, Places(*arrays), num_samples, columns), list(places), tf.int16, stateful=False
        )
    return tf.ensure_shape(cuts, (*shape, num_samples, tracks[0].shape[2]))


def _read_in_graph(
    tracks: Sequence[np.ndarray], places: tuple[tf.Tensor, tf.Tensor], num_samples: int, columns: np.ndarray | int
) -> tf.Tensor:
    names = tf.constant([str(track.filename) for track in tracks])
    lengths = tf.constant([len(track) for track in tracks], tf.int64)
    num_columns, num_channels = tracks[0].shape[1:]
    row_bytes = _SAMPLE_BYTES * num_columns * num_channels

    def record(track: tf.Tensor, start: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        length = tf.gather(lengths, track)
        rows = tf.minimum(length - start, num_samples)
        # Read part of the file as a single record between a header and a footer.
        records = tf.data.FixedLengthRecordDataset(
            tf.gather(names, track), rows * row_bytes, start * row_bytes, (length - start - rows) * row_bytes
        )
        samples = tf.reshape(tf.io.decode_raw(records.get_single_element(), tf.int16), (-1, num_columns, num_channels))
        return tf.pad(samples[:, column], [[0, num_samples - tf.shape(samples)[0]], [0, 0]])

    shape = tf.shape(places[0])
    flat = (tf.reshape(tf.cast(tf.broadcast_to(part, shape), tf.int64), [-1]) for part in (*places, columns))
    silence = tf.zeros((num_samples, num_channels), tf.int16)
    cuts = tf.map_fn(
        lambda place: tf.cond(place[0] >= 0, lambda: record(*place), lambda: silence),
        tuple(flat),
        fn_output_signature=tf.TensorSpec(silence.shape, tf.int16),
    )
    return tf.reshape(cuts, tf.concat([shape, silence.shape], 0))

import keras
import numpy as np
import pytest
import tensorflow as tf
from tqdm import tqdm

from common import batches


@pytest.fixture(scope="module")
def traced():
    """A model that remembers the shapes that it was called with."""
    shapes = []

    class Noted(keras.layers.Layer):
        def call(self, clips):
            shapes.append(clips.shape)
            return keras.ops.stack([keras.ops.sum(clips, axis=1), keras.ops.max(clips, axis=1)], axis=1)

    waveform = keras.Input((10,))
    model = keras.Model(waveform, Noted()(waveform))
    model.run_eagerly = True
    shapes.clear()
    return batches.function_of(model), shapes


@pytest.mark.parametrize("num_clips", [1, 2, 63, 64, 65, 200])
def test_any_number_of_clips_is_answered(traced, rng, num_clips):
    run, _ = traced
    clips = rng.standard_normal((num_clips, 10)).astype(np.float32)
    np.testing.assert_allclose(run(clips), np.stack([clips.sum(axis=1), clips.max(axis=1)], axis=1), atol=1e-5)


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_a_bar_counts_every_batch_of_a_dataset(rng, monkeypatch, steps_per_execution):
    seen = []
    monkeypatch.setattr(tqdm, "update", lambda self, steps: (seen.append(steps), setattr(self, "n", self.n + steps)))
    waveform = keras.Input((10,))
    model = keras.Model(waveform, keras.layers.Rescaling(2.0)(waveform))
    model.compile(steps_per_execution=steps_per_execution)
    clips = rng.standard_normal((14, 10)).astype(np.float32)
    dataset = tf.data.Dataset.from_tensor_slices(clips).batch(2)
    np.testing.assert_allclose(batches.predict(model, dataset, "evaluating"), 2 * clips, atol=1e-6)
    assert sum(seen) == 7 and min(seen) > 0


def test_the_model_sees_batches_of_two_shapes_only(traced):
    run, shapes = traced
    for num_clips in (1, 5, 64, 100, 1, 7):
        run(np.zeros((num_clips, 10), np.float32))
    assert set(map(tuple, shapes)) == {(1, 10), (64, 10)}

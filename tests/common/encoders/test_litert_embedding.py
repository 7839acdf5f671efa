"""A LiteRT file as a layer: no weights, no gradient, the same values in a model, a graph and another program."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.encoders import litert_embedding
from common.encoders.embedding import embedding
from common.encoders.litert_embedding import LiteRTEmbedding
from tests.errors import refused
from tests.litert_files import WINDOW, pooled_by_hand, write_litert

POOLED = "network/pool/Mean"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_litert(tmp_path_factory.mktemp("litert") / "front_end.tflite")


@pytest.fixture
def clips(rng):
    return rng.normal(0, 0.5, (24, WINDOW)).astype(np.float32)


def build(file, samples=WINDOW):
    inputs = keras.Input((samples,))
    hidden = embedding(inputs, path=file, tensor=POOLED)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(hidden))


def test_the_layer_gives_the_tensor_eagerly_and_in_a_graph(file, clips):
    layer = LiteRTEmbedding(str(file), POOLED)
    expected = [pooled_by_hand(clip) for clip in clips]
    np.testing.assert_allclose(layer(clips), expected, atol=1e-6)
    np.testing.assert_allclose(tf.function(layer)(clips), expected, atol=1e-6)
    assert embedding(keras.Input((WINDOW,)), path=file, tensor=POOLED).shape == (None, 6)


def test_only_the_head_has_weights_and_learns(file, clips):
    keras.utils.set_random_seed(0)
    model = build(file)
    labels = np.argmax([pooled_by_hand(clip)[:3] for clip in clips], axis=1)
    assert [weight.name for weight in model.weights] == ["kernel", "bias"]
    model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(clips, labels, epochs=60, verbose=0)
    assert model.evaluate(clips, labels, verbose=0)[1] > 0.9


def test_a_saved_model_gives_the_same_when_it_is_loaded(file, clips, tmp_path):
    model = build(file)
    expected = model.predict(clips, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(clips, verbose=0), expected)
    assert loaded.layers[1].get_config()["tensor"] == POOLED


def test_two_devices_may_share_the_layer(file, clips):
    """In a strategy, the replicas call it at the same time from threads of their own."""
    layer = LiteRTEmbedding(str(file), POOLED)
    layer.build((None, WINDOW))
    halves = tf.stack([clips[:12], clips[12:]])
    parallel = tf.function(
        lambda halves: tf.map_fn(layer, halves, fn_output_signature=tf.float32, parallel_iterations=2)
    )
    both = parallel(halves)
    expected = [pooled_by_hand(clip) for clip in clips]
    np.testing.assert_allclose(tf.reshape(both, (24, 6)), expected, atol=1e-6)


def test_the_layer_is_found_at_any_depth_and_described(file):
    inner = build(file, 1000)
    inputs = keras.Input((1000,))
    outer = keras.Model(inputs, inner(inputs))
    assert litert_embedding.find(outer) is litert_embedding.find(inner) is not None
    assert litert_embedding.facts(outer) == [f"{POOLED} of {file}: 6 values, 3 x 400 samples per clip"]
    without = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert litert_embedding.find(without) is None
    assert litert_embedding.facts(without) == []


def test_what_it_cannot_do_is_refused(file):
    with refused("--fine_tune: .*front_end.tflite has a LiteRT file .* no gradients"):
        embedding(keras.Input((WINDOW,)), path=file, fine_tune=True)
    with pytest.raises(ValueError, match="static number of samples"):
        embedding(keras.Input((None,)), path=file)

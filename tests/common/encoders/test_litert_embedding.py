"""A LiteRT file as a layer: no weights, no gradient, the same values in a model, a graph and another program."""

import subprocess
import sys

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


TWO_DEVICES = """
import sys
import keras, numpy as np, tensorflow as tf
from common.encoders.embedding import embedding
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
clips = np.random.default_rng(0).normal(0, 0.5, (16, 400)).astype(np.float32)
losses = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        inputs = keras.Input((400,))
        hidden = embedding(inputs, path=sys.argv[1], tensor="pool/Mean")
        model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(hidden))
        model.compile("sgd", "sparse_categorical_crossentropy")
    dataset = tf.data.Dataset.from_tensor_slices((clips, np.arange(16) % 3)).batch(8)
    losses.append(model.fit(dataset, epochs=3, verbose=0).history["loss"])
    print(strategy.num_replicas_in_sync, losses[-1])
np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
"""


@pytest.mark.slow
def test_two_devices_train_as_one(file):
    """The devices call the file at the same time from threads of their own."""
    found = subprocess.run([sys.executable, "-c", TWO_DEVICES, str(file)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    assert [line.split()[0] for line in found.stdout.splitlines()] == ["1", "2"]


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

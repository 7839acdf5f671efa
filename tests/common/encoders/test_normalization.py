import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.encoders.normalization import FusedBatchNormalization, SubSpectralNormalization
from tests.checks import check_layer


def randomised(layer, shape, rng):
    """Build the layer and give every weight a value that shows."""
    layer.build(shape)
    layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return layer


@pytest.fixture
def maps(rng):
    return rng.normal(1, 2, (4, 7, 10, 3)).astype(np.float32)


def test_fused_batch_normalization_passes_the_layer_check(maps, rng):
    check_layer(randomised(FusedBatchNormalization(), maps.shape, rng), maps)


def test_sub_spectral_normalization_passes_the_layer_check(maps, rng):
    check_layer(randomised(SubSpectralNormalization(5), maps.shape, rng), maps)


@pytest.mark.parametrize("shape", [(50, 3), (8, 20, 3), (4, 7, 10, 3)])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_fused_equals_keras_batch_normalization(shape, jit_compile, rng):
    x = rng.normal(1, 2, shape).astype(np.float32)
    outputs = []
    for layer in (FusedBatchNormalization(), keras.layers.BatchNormalization()):
        randomised(layer, shape, np.random.default_rng(1))

        @tf.function(jit_compile=jit_compile)
        def step(x, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=True)
                loss = tf.reduce_sum(tf.square(y) * tf.cos(y))
            return y, *tape.gradient(loss, [x, *layer.trainable_weights])

        trained = step(tf.constant(x))
        # Keras' moving variance takes the biased estimate.
        count = x.size // 3
        unbiased = 1 if isinstance(layer, FusedBatchNormalization) else count / (count - 1)
        old = np.random.default_rng(1).uniform(0.5, 1.5, (4, 3))[3]
        new = layer.moving_variance.numpy() - 0.99 * old
        outputs.append([*trained, layer.moving_mean, new * unbiased])
    for ours, keras_own in zip(*outputs, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=2e-4, atol=2e-4)


def test_training_gives_every_channel_of_every_band_mean_0_and_variance_1(maps):
    outputs = SubSpectralNormalization(5, epsilon=1e-5)(maps, training=True).numpy()
    bands = outputs.reshape(4, 7, 5, 2, 3)
    np.testing.assert_allclose(bands.mean((0, 1, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(bands.var((0, 1, 3)), 1, atol=1e-4)


def test_moving_statistics_are_those_of_each_band(maps):
    layer = SubSpectralNormalization(5, momentum=0.0)
    layer(maps, training=True)
    bands = maps.reshape(4, 7, 5, 2, 3)
    inner = layer.normalization
    np.testing.assert_allclose(inner.moving_mean.numpy().reshape(5, 3), bands.mean((0, 1, 3)), atol=1e-5)
    np.testing.assert_allclose(inner.moving_variance.numpy().reshape(5, 3), bands.var((0, 1, 3), ddof=1), rtol=1e-4)


def test_inference_uses_the_moving_statistics_scale_and_offset_of_the_band(maps, rng):
    layer = randomised(SubSpectralNormalization(5, epsilon=1e-3), maps.shape, rng)
    gamma, beta, mean, variance = (np.reshape(w, (5, 1, 3)) for w in layer.get_weights())
    expected = (maps.reshape(4, 7, 5, 2, 3) - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    np.testing.assert_allclose(layer(maps).numpy(), expected.reshape(maps.shape), atol=1e-5)


def test_a_frozen_layer_keeps_its_statistics(maps):
    layer = FusedBatchNormalization()
    layer.trainable = False
    np.testing.assert_allclose(layer(maps, training=True).numpy(), maps / np.sqrt(1.001), rtol=1e-5)
    assert not layer.moving_mean.numpy().any()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_statistics_stay_float32_under_mixed_precision(maps, policy):
    layer = SubSpectralNormalization(5, momentum=0.0, dtype=policy)
    assert layer(maps, training=True).dtype == keras.dtype_policies.get(policy).compute_dtype
    assert {weight.dtype for weight in layer.weights} == {"float32"}
    half = maps.astype(np.float16).astype(np.float32) if policy == "mixed_float16" else tf.cast(maps, "bfloat16")
    means = np.asarray(tf.cast(half, tf.float32)).reshape(4, 7, 5, 2, 3).mean((0, 1, 3))
    # A mean of rounded inputs that is not itself rounded: bfloat16 would be off by up to 0.4 %.
    np.testing.assert_allclose(layer.normalization.moving_mean.numpy().reshape(5, 3), means, atol=1e-5)


def test_bins_that_cannot_be_cut_into_bands_are_refused():
    with pytest.raises(ValueError, match="12 bins"):
        SubSpectralNormalization(5)(np.zeros((1, 3, 12, 2), np.float32))


MIRRORED = """
import keras, numpy as np, tensorflow as tf
from common.encoders.normalization import SubSpectralNormalization
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
maps = np.random.default_rng(0).normal(2, 3, (8, 6, 10, 3)).astype("float32")
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    layer = SubSpectralNormalization(5, momentum=0.5)
    model = keras.Sequential([keras.Input(maps.shape[1:]), layer, keras.layers.GlobalAveragePooling2D()])
    model.compile("sgd", "mse")
model.fit(tf.data.Dataset.from_tensors((maps, np.zeros((8, 3), "float32"))), verbose=0)
replicas = maps.reshape(2, 4, 6, 5, 2, 3).mean((1, 2, 4)).reshape(2, 15)
np.testing.assert_allclose(layer.normalization.moving_mean, 0.5 * replicas.mean(0), atol=1e-5)
assert np.abs(replicas[0] - replicas[1]).max() > 0.1
"""


@pytest.mark.slow
def test_moving_statistics_are_the_mean_over_replicas():
    # Logical devices can only be made before TensorFlow starts, so in a process of its own.
    done = subprocess.run([sys.executable, "-c", MIRRORED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

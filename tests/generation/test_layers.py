import keras
import numpy as np
import pytest
import tensorflow as tf

from generation.layers import BatchDeviation, DepthToSpace, PixelNormalization, SpectralConv2D


def test_pixel_normalization_gives_every_position_the_same_power(rng):
    x = tf.constant(rng.normal(0, 5, (2, 3, 4, 8)), tf.float32)
    power = np.mean(np.square(PixelNormalization()(x)), axis=-1)
    np.testing.assert_allclose(power, 1, rtol=1e-4)


def test_the_deviation_of_a_batch_is_0_when_all_are_alike(rng):
    one = tf.constant(rng.normal(size=(1, 3, 4, 2)), tf.float32)
    alike = BatchDeviation()(tf.repeat(one, 6, axis=0)).numpy()
    assert alike.shape == (6, 3, 4, 3) and alike[..., -1].max() < 1e-3
    varied = rng.normal(0, 2, (500, 3, 4, 2)).astype(np.float32)
    assert float(BatchDeviation()(varied)[0, 0, 0, -1]) == pytest.approx(2, rel=0.05)


def test_depth_to_space_lays_channels_side_by_side():
    x = tf.reshape(tf.range(4.0), (1, 1, 1, 4))
    np.testing.assert_array_equal(DepthToSpace(2)(x)[0, :, :, 0], [[0, 1], [2, 3]])
    symbolic = DepthToSpace(2)(keras.Input((None, 3, 8)))
    assert symbolic.shape == (None, None, 6, 2)


def test_the_spectral_norm_of_what_convolves_becomes_1(rng):
    layer = SpectralConv2D(6, 3)
    x = tf.constant(rng.normal(size=(2, 8, 8, 5)), tf.float32)
    layer(x)
    layer.kernel.assign(rng.normal(0, 3, layer.kernel.shape).astype(np.float32))
    for _ in range(50):
        made = layer(x, training=True)
    norm = np.linalg.norm(layer.kernel.numpy().reshape(-1, 6), 2)
    expected = tf.nn.conv2d(x, layer.kernel / norm, 1, "SAME")
    np.testing.assert_allclose(made, expected, rtol=1e-3, atol=1e-4)
    assert norm > 10


def test_the_spectral_norm_moves_in_training_only(rng):
    layer = SpectralConv2D(6, 3)
    x = tf.constant(rng.normal(size=(2, 8, 8, 5)), tf.float32)
    layer(x)
    before = layer.vector.numpy()
    layer(x, training=False)
    np.testing.assert_array_equal(layer.vector.numpy(), before)
    layer(x, training=True)
    assert np.abs(layer.vector.numpy() - before).max() > 1e-3

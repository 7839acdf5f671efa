import keras
import numpy as np
import pytest
import tensorflow as tf

from common.encoders.bc_resnet import bc_resnet
from common.encoders.normalization import SubSpectralNormalization


# The counts of the authors' own PyTorch code with twelve labels; the paper gives 9.2 k to 321 k.
@pytest.mark.parametrize(
    ("tau", "count"), [(1, 9_232), (1.5, 17_154), (2, 27_284), (3, 54_168), (6, 187_812), (8, 321_068)]
)
def test_trainable_parameters_with_twelve_labels_are_the_authors(tau, count):
    inputs = keras.Input((101, 40))
    model = keras.Model(inputs, keras.layers.Dense(12)(bc_resnet(inputs, tau=tau)))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == count


def test_bins_go_from_forty_to_five_and_frames_stay():
    inputs = keras.Input((101, 40))
    model = keras.Model(inputs, bc_resnet(inputs))
    maps = [layer.output.shape[1:3] for layer in model.layers if isinstance(layer, SubSpectralNormalization)]
    assert maps == [(101, 20)] * 2 + [(101, 10)] * 2 + [(101, 5)] * 8


def test_an_output_frame_hears_58_frames_on_either_side(rng):
    inputs = keras.Input((201, 40))
    model = keras.Model(inputs, bc_resnet(inputs))
    before_the_average = keras.Model(inputs, model.layers[-1].input)
    spectrogram = tf.constant(rng.normal(0, 1, (1, 201, 40)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(spectrogram)
        frame = before_the_average(spectrogram)[:, 100]
    heard = np.flatnonzero(np.any(tape.gradient(frame, spectrogram).numpy() != 0, axis=(0, 2)))
    # 2 frames by the first convolution, 2 * (1 + 2) + 4 * (4 + 8) by the blocks, 2 by the last depthwise one.
    assert (heard.min(), heard.max()) == (100 - 58, 100 + 58)


def test_any_number_of_frames_is_taken(rng):
    inputs = keras.Input((None, 40))
    model = keras.Model(inputs, bc_resnet(inputs))
    assert model(rng.normal(0, 1, (2, 37, 40)).astype(np.float32)).shape == (2, 32)


def test_a_wrong_number_of_bins_is_refused():
    with pytest.raises(ValueError, match="received 64"):
        bc_resnet(keras.Input((101, 64)))

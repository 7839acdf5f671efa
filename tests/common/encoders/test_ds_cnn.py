import keras
import numpy as np

from common.encoders.ds_cnn import ds_cnn


def test_parameters_with_twelve_labels_are_the_published():
    inputs = keras.Input((49, 10))
    model = keras.Model(inputs, keras.layers.Dense(12)(ds_cnn(inputs)))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 23_756
    assert model.count_params() == 24_908


def test_time_comes_first():
    inputs = keras.Input((49, 10))
    convolution = next(
        layer for layer in keras.Model(inputs, ds_cnn(inputs)).layers if isinstance(layer, keras.layers.Conv2D)
    )
    assert convolution.kernel_size == (10, 4)
    assert convolution.output.shape == (None, 25, 5, 64)

import keras
import numpy as np

from common.encoders.report_cnn import report_cnn


def model():
    inputs = keras.Input((44, 13))
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(report_cnn(inputs)))


def test_parameters_are_the_reports():
    assert sum(int(np.prod(weight.shape)) for weight in model().trainable_weights) == 34_442
    assert model().count_params() == 34_698


def test_maps_have_the_reports_sizes():
    layers = model().layers
    convolutions = [layer.output.shape[1:] for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    pools = [layer.output.shape[1:] for layer in layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert convolutions == [(42, 11, 64), (19, 4, 32), (9, 1, 32)]
    assert pools == [(21, 6, 64), (10, 2, 32), (5, 1, 32)]

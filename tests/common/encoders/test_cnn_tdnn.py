import keras
import numpy as np
import pytest

from common.encoders.cnn_tdnn import cnn_tdnn


def build(**options):
    inputs = keras.Input((101, 40))
    return keras.Model(inputs, keras.layers.Dense(10)(cnn_tdnn(inputs, **options)))


@pytest.mark.parametrize(("width", "trainable", "total"), [(1.0, 331_682, 333_730), (1.5, 709_346, 712_258)])
def test_parameters_with_ten_labels(width, trainable, total):
    model = build(width=width)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == trainable
    assert model.count_params() == total


def test_bins_become_channels_and_time_shrinks_four_times():
    sums = [layer.output.shape[1:] for layer in build().layers if isinstance(layer, keras.layers.Add)]
    assert sums == [(51, 20, 24), (51, 96), (26, 96), (13, 96)]

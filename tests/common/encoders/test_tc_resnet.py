import keras
import numpy as np
import pytest

from common.encoders.tc_resnet import tc_resnet


# The paper: 66 k and 145 k.
@pytest.mark.parametrize(("width", "trainable", "total"), [(1.0, 65_180, 65_836), (1.5, 144_276, 145_260)])
def test_parameters_with_twelve_labels_are_the_published(width, trainable, total):
    inputs = keras.Input((98, 40))
    model = keras.Model(inputs, keras.layers.Dense(12)(tc_resnet(inputs, width=width)))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == trainable
    assert model.count_params() == total


def test_each_block_halves_the_frames():
    inputs = keras.Input((98, 40))
    layers = keras.Model(inputs, tc_resnet(inputs)).layers
    assert [layer.output.shape[1:] for layer in layers if isinstance(layer, keras.layers.Add)] == [
        (49, 24),
        (25, 32),
        (13, 48),
    ]

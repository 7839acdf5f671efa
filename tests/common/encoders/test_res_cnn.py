import keras
import numpy as np
import pytest

from common.encoders.res_cnn import res_cnn


def build(**options):
    inputs = keras.Input((101, 40))
    return keras.Model(inputs, keras.layers.Dense(10)(res_cnn(inputs, **options)))


def test_parameters_with_ten_labels():
    model = build()
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 271_762
    assert model.count_params() == 273_202


@pytest.mark.parametrize(("width", "channels"), [(1.0, (24, 48, 72)), (0.5, (12, 24, 36))])
def test_three_stages_of_two_blocks(width, channels):
    maps = [layer.output.shape[1:] for layer in build(width=width).layers if isinstance(layer, keras.layers.Add)]
    sizes = ((51, 20), (26, 10), (13, 5))
    assert maps == [(*size, count) for size, count in zip(sizes, channels, strict=True) for _ in range(2)]

import keras
import numpy as np

from common.encoders.mhatt_rnn import mhatt_rnn


def build(frames, bins):
    inputs = keras.Input((frames, bins))
    return keras.Model(inputs, keras.layers.Dense(12)(mhatt_rnn(inputs)))


def test_parameters_on_20_mfcc_with_twelve_labels_are_the_published():
    model = build(49, 20)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 743_025
    assert model.count_params() == 743_047
    assert build(98, 40).count_params() == 743_047 + 15_360


def test_each_head_weighs_the_frames(rng):
    model = build(15, 8)
    weights = [layer.output for layer in model.layers if isinstance(layer, keras.layers.Softmax)]
    outputs = keras.Model(model.input, weights)(rng.normal(0, 3, (2, 15, 8)).astype(np.float32))
    assert [output.shape for output in outputs] == [(2, 15)] * 4
    for output in outputs:
        np.testing.assert_allclose(np.sum(output, axis=1), 1, atol=1e-6)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-4

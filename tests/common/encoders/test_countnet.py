import keras
import numpy as np
import pytest

from common.encoders.countnet import countnet


def test_parameters_with_eleven_labels_are_the_papers():
    inputs = keras.Input((500, 201))
    model = keras.Model(inputs, keras.layers.Dense(11)(countnet(inputs)))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 352_699
    assert model.count_params() == 352_699


def test_maps_have_the_papers_sizes():
    inputs = keras.Input((500, 201))
    layers = keras.Model(inputs, countnet(inputs)).layers
    convolutions = [layer.output.shape[1:] for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    assert convolutions == [(498, 199, 64), (496, 197, 32), (163, 63, 128), (161, 61, 64)]
    (lstm,) = (layer for layer in layers if isinstance(layer, keras.layers.LSTM))
    assert lstm.input.shape == (None, 53, 20 * 64)
    assert layers[-1].output.shape == (None, 26 * 40)


@pytest.mark.parametrize(("frames", "bins", "steps"), [(98, 201, 4), (101, 201, 4), (101, 40, 4), (34, 25, 1)])
def test_shorter_inputs_are_taken(frames, bins, steps):
    assert countnet(keras.Input((frames, bins))).shape == (None, 40 * steps)


@pytest.mark.parametrize(
    ("shape", "received"), [((33, 25), "33 of 25"), ((34, 24), "34 of 24"), ((None, 201), "None of 201")]
)
def test_too_small_or_unknown_inputs_are_refused(shape, received):
    with pytest.raises(ValueError, match=f"at least 34 frames of 25 bins, both static; received {received}"):
        countnet(keras.Input(shape))


def test_the_lstm_runs_over_time(rng):
    inputs = keras.Input((101, 25))
    model = keras.Model(inputs, countnet(inputs))
    (lstm,) = (layer for layer in model.layers if isinstance(layer, keras.layers.LSTM))
    steps = keras.Model(inputs, lstm.input)
    spectrogram = rng.normal(0, 1, (1, 101, 25)).astype(np.float32)
    changed = spectrogram.copy()
    changed[:, 90:] += 1
    moved = np.any(steps(changed).numpy() != steps(spectrogram).numpy(), axis=(0, 2))
    assert moved.tolist() == [False] * 8 + [True]

import keras
import numpy as np
import pytest

from common.encoders.recurrent import crnn, lstm, tf_lstm


# 40 parameters of this CRNN normalise the inputs, which the paper leaves out.
@pytest.mark.parametrize(
    ("build", "shape", "count"),
    [(crnn, (49, 20), 467_772 + 40), (lstm, (101, 40), 219_740), (tf_lstm, (101, 40), 181_436)],
)
def test_trainable_parameters_with_twelve_labels(build, shape, count):
    inputs = keras.Input(shape)
    model = keras.Model(inputs, keras.layers.Dense(12)(build(inputs)))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == count


def test_tf_lstm_runs_over_the_frequencies_of_each_frame_alone(rng):
    inputs = keras.Input((6, 16))
    model = keras.Model(inputs, tf_lstm(inputs))
    over_frequency, over_time = (layer for layer in model.layers if isinstance(layer, keras.layers.LSTM))
    assert over_frequency.input.shape == (None, 3, 8)
    assert over_time.input.shape == (None, 6, 3 * 24)

    frames = keras.Model(inputs, over_time.input)
    spectrogram = rng.normal(0, 1, (2, 6, 16)).astype(np.float32)
    changed = spectrogram.copy()
    changed[1, 4, 15] += 1
    moved = np.any(frames(changed).numpy() != frames(spectrogram).numpy(), axis=2)
    # One frame of one clip moves, and in it only the last window, which alone holds the last bin.
    assert np.argwhere(moved).tolist() == [[1, 4]]
    difference = (frames(changed) - frames(spectrogram)).numpy()[1, 4]
    assert np.flatnonzero(difference).min() >= 2 * 24

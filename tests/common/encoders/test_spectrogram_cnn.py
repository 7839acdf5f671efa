import keras
import numpy as np
import pytest

from common.encoders.spectrogram_cnn import cnn_2d_1, cnn_2d_2, cnn_2d_4

NETWORKS = [cnn_2d_1, cnn_2d_2, cnn_2d_4]


@pytest.mark.parametrize(("build", "count"), zip(NETWORKS, (483, 9_795, 65_571), strict=True))
def test_trainable_parameters_with_three_labels_are_the_reports(build, count):
    inputs = keras.Input((101, 201))
    model = keras.Model(inputs, keras.layers.Dense(3)(build(inputs)))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == count


@pytest.mark.parametrize(("build", "rates"), zip(NETWORKS, ([0.2], [0.2, 0.4], [0.0, 0.2, 0.4, 0.4]), strict=True))
def test_a_block_is_convolved_normalised_pooled_and_dropped(build, rates):
    inputs = keras.Input((101, 201))
    layers = keras.Model(inputs, build(inputs)).layers
    names = [type(layer).__name__ for layer in layers]
    block = ["Conv2D", "FusedBatchNormalization", "ReLU", "MaxPooling2D", "Dropout"]
    assert names[-1 - 5 * len(rates) :] == [*block * len(rates), "GlobalAveragePooling2D"]
    assert [layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)] == rates
    pools = [layer.output.shape[1:3] for layer in layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert pools == [(51, 101), (26, 51), (13, 26), (7, 13)][: len(rates)]


@pytest.mark.slow
@pytest.mark.parametrize("build", NETWORKS)
def test_training_tells_loud_bins_from_quiet_ones(build, rng):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((20, 13))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(build(inputs)))
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    labels = np.arange(12) % 3
    # Decibels, of noise that is higher by 20 dB in the lower, the middle or the upper bins.
    decibels = rng.normal(-40, 3, (12, 20, 13))
    for index, label in enumerate(labels):
        decibels[index, :, 4 * label : 4 * label + 4] += 20
    losses = model.fit(decibels, labels, batch_size=12, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]

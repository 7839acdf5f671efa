import keras
import numpy as np
import pytest
import tensorflow as tf

from common.encoders import raw_cnn
from common.encoders.raw_cnn import m3, m5, m11, m18, m34_res
from common.export import graphs, litert
from tests.checks import waveforms


def count_trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


# The report did not train M34-res and states no count of it.
@pytest.mark.parametrize(
    ("build", "count"), [(m3, 5_923), (m5, 37_507), (m11, 449_059), (m18, 924_643), (m34_res, 1_775_715)]
)
def test_trainable_parameters_with_three_labels_are_the_reports(build, count):
    inputs = keras.Input((16_000,))
    assert count_trainable(keras.Model(inputs, keras.layers.Dense(3)(build(inputs)))) == count


# As github.com/philipperemy/very-deep-convnets-raw-waveforms printed them; the paper: 0.2, 0.5, 1.8, 3.7 and 4 M.
@pytest.mark.parametrize(
    ("build", "count"), [(m3, 221_194), (m5, 559_114), (m11, 1_786_442), (m18, 3_683_786), (m34_res, 3_984_154)]
)
def test_trainable_parameters_with_ten_labels_in_the_original_widths(build, count):
    inputs = keras.Input((32_000,))
    assert count_trainable(keras.Model(inputs, keras.layers.Dense(10)(build(inputs, original_widths=True)))) == count


@pytest.mark.parametrize(("original_widths", "width"), [(False, 32), (True, 48)])
def test_m34_res_has_sixteen_residual_pairs_in_four_stages(original_widths, width):
    inputs = keras.Input((16_000,))
    layers = keras.Model(inputs, m34_res(inputs, original_widths=original_widths)).layers
    maps = [layer.output.shape[1:] for layer in layers if isinstance(layer, keras.layers.Add)]
    stages = ((250, 1, 3), (63, 2, 4), (16, 4, 6), (4, 8, 3))
    assert maps == [(steps, width * multiple) for steps, multiple, count in stages for _ in range(count)]
    # One for the waveform, two a pair; with the head these are the 34 layers of its name.
    assert sum(isinstance(layer, keras.layers.Conv1D) for layer in layers) == 33


def small_residual_network(policy="float32"):
    """Build the first pair of two stages, the second with twice the channels."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((2000,))
        embedding = raw_cnn._raw_cnn(inputs, (1, 1), 8, residual=True)
        return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", dtype="float32")(embedding))
    finally:
        keras.config.set_dtype_policy("float32")


def test_shortcuts_keep_the_input_and_repeat_it_where_channels_double(rng):
    model = small_residual_network()
    adds = [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]
    pools = [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling1D)]
    for add in adds:
        # The last layer of the branch: without its scale nothing but the shortcut is left.
        branch = next(layer for layer in model.layers if layer.output is add.input[0])
        branch.gamma.assign(np.zeros(branch.gamma.shape))
    outputs = keras.Model(model.input, [pools[0].output, adds[0].output, pools[1].output, adds[1].output])
    first, first_sum, second, second_sum = outputs(rng.normal(0, 1, (2, 2000)))
    np.testing.assert_array_equal(first_sum, first)
    np.testing.assert_array_equal(second_sum, np.concatenate([second, second], axis=2))
    after = [type(layer).__name__ for layer in model.layers[model.layers.index(adds[1]) + 1 :]]
    assert after == ["FusedBatchNormalization", "ReLU", "GlobalAveragePooling1D", "Dense"]


def train(model, inputs):
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    return model.fit(inputs, np.arange(6) % 3, batch_size=6, epochs=12, verbose=0).history["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_residual_network_learns(policy):
    losses = train(small_residual_network(policy), waveforms(6, 2000))
    assert losses[-1] < losses[0] / 2


@pytest.mark.slow
def test_a_trained_residual_network_answers_the_same_exported_and_in_litert(tmp_path):
    model, inputs = small_residual_network(), waveforms(6, 2000)
    losses = train(model, inputs)
    assert losses[-1] < losses[0] / 2
    expected = model(inputs).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-2
    model.export(tmp_path / "saved_model", verbose=False)
    exported = tf.saved_model.load(tmp_path / "saved_model")
    np.testing.assert_allclose(exported.serve(inputs).numpy(), expected, atol=1e-6)
    litert.write(model, graphs.probabilities_of(model, tf.TensorSpec((1, 2000), tf.float32)), tmp_path / "model.tflite")
    np.testing.assert_allclose(
        litert.run(tmp_path / "model.tflite", inputs[:1], "probabilities"), expected[:1], atol=1e-5
    )


@pytest.mark.parametrize("samples", [16_000, 4_001, 4_007, 4_008, 4_015])
def test_first_convolution_equals_a_kernel_of_80_with_stride_16(samples, rng):
    inputs = keras.Input((samples,))
    encoder = keras.Model(inputs, m5(inputs))
    folded = next(layer for layer in encoder.layers if isinstance(layer, keras.layers.Conv1D))
    folded.bias.assign(rng.normal(0, 1, 32))

    plain = keras.layers.Conv1D(32, 80, strides=16, padding="same")
    waveforms = rng.normal(0, 1, (2, samples)).astype(np.float32)
    plain.build((None, samples, 1))
    plain.set_weights([np.reshape(folded.kernel, (80, 1, 32)), folded.bias.numpy()])
    expected = plain(waveforms[..., np.newaxis]).numpy()

    outputs = keras.Model(inputs, folded.output)(waveforms).numpy()
    assert outputs.shape == (2, -(-samples // 16), 32)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_waveforms_of_unknown_length_are_refused():
    with pytest.raises(ValueError, match="number of samples"):
        m5(keras.Input((None,)))

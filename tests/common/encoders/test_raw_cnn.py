import keras
import numpy as np
import pytest

from common.encoders.raw_cnn import m3, m5, m11, m18


@pytest.mark.parametrize(("build", "count"), [(m3, 5_923), (m5, 37_507), (m11, 449_059), (m18, 924_643)])
def test_trainable_parameters_with_three_labels_are_the_reports(build, count):
    inputs = keras.Input((16_000,))
    model = keras.Model(inputs, keras.layers.Dense(3)(build(inputs)))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == count


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

"""The shared layer check passes a good layer with weights and names what is wrong with a bad one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import checks


@keras.saving.register_keras_serializable(package="quartet")
class Scale(keras.layers.Layer):
    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape):
        self.weight = self.add_weight(shape=(input_shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * tf.cast(self.weight, inputs.dtype) * self.factor

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable(package="quartet")
class ScaleByTheBatch(Scale):
    def call(self, inputs):
        return inputs / tf.reduce_max(inputs)


@keras.saving.register_keras_serializable(package="quartet")
class ForgetfulScale(Scale):
    def get_config(self):
        return {**super().get_config(), "factor": 1.0}


@keras.saving.register_keras_serializable(package="quartet")
class SilentScale(Scale):
    def get_config(self):
        return {name: value for name, value in super().get_config().items() if name != "factor"}


@keras.saving.register_keras_serializable(package="quartet")
class MisshapenScale(Scale):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 1)


@keras.saving.register_keras_serializable(package="quartet")
class ComplexScale(Scale):
    def call(self, inputs):
        spectrum = tf.signal.ifft(tf.cast(tf.cast(inputs, tf.float32), tf.complex64))
        return tf.cast(tf.math.real(spectrum), inputs.dtype)


INPUTS = checks.waveforms(3, 40)


def test_a_layer_with_weights_passes():
    layer = Scale(2.0)
    layer.build(INPUTS.shape)
    layer.set_weights([np.linspace(0.5, 1.5, 40)])
    checks.check_layer(layer, INPUTS)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (ScaleByTheBatch(), "alone, not in a batch"),
        (ForgetfulScale(2.0), "rebuilt from its configuration"),
        (SilentScale(), "get_config leaves out factor"),
        (MisshapenScale(), "shape"),
        (keras.layers.Rescaling(2.0), 'expected package "quartet"'),
    ],
)
def test_a_bad_layer_is_told_apart(layer, message):
    with pytest.raises(AssertionError, match=message):
        checks.check_layer(layer, INPUTS)


def test_what_litert_cannot_run_does_not_pass():
    with pytest.raises(Exception, match="IFFT"):
        checks.check_layer(ComplexScale(), INPUTS)


def test_a_golden_tells_another_order_and_another_value():
    values = [1.0, -1.0, 3.0]
    golden = checks.five_numbers(values)
    checks.check_golden(values, golden)
    for changed in ([3.0, -1.0, 1.0], [1.0, -1.0, 3.01]):
        with pytest.raises(AssertionError, match="the numbers are"):
            checks.check_golden(changed, golden)

"""What every encoder must do, whatever its architecture."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.encoders import ENCODERS
from common.encoders.normalization import FusedBatchNormalization
from common.export import graphs, litert

# Name -> small input shape, size of the embedding.
CASES = {
    "report_cnn": ((20, 13), 64),
    "bc_resnet": ((20, 40), 32),
    "cnn_tdnn": ((20, 16), 96),
    "res_cnn": ((20, 16), 72),
    "ds_cnn": ((20, 10), 64),
    "tc_resnet": ((20, 13), 48),
    "mhatt_rnn": ((12, 10), 32),
    "crnn": ((12, 10), 256),
    "lstm": ((12, 10), 128),
    "tf_lstm": ((12, 16), 128),
    "cnn_2d_1": ((20, 13), 32),
    "cnn_2d_2": ((20, 13), 32),
    "cnn_2d_4": ((20, 13), 64),
    "countnet": ((34, 25), 40),
    "speech_embedding": ((84, 32), 256),
    "m3": ((2000,), 32),
    "m5": ((2000,), 128),
    "m11": ((2000,), 256),
    "m18": ((2000,), 256),
    "m34_res": ((2000,), 256),
}
# m3, m11 and m18 are m5 with more or fewer of the same layers, as cnn_2d_1 and cnn_2d_4 are cnn_2d_2; test_raw_cnn.py
# has two blocks of m34_res, the whole of which takes minutes. The speech embedding does not learn from random weights;
# test_speech_embedding.py has its own trainings.
LEFT_OUT = ("m3", "m11", "m18", "m34_res", "cnn_2d_1", "cnn_2d_4", "speech_embedding")
FAMILIES = [name for name in CASES if name not in LEFT_OUT]
BATCH = 4


def build(name, policy="float32"):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input(CASES[name][0])
        embedding = ENCODERS[name].build(inputs)
        return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", dtype="float32")(embedding))
    finally:
        keras.config.set_dtype_policy("float32")


def examples(name, rng):
    return rng.normal(0, 1, (BATCH, *CASES[name][0])).astype(np.float32), np.arange(BATCH) % 3


def train(model, inputs, labels, epochs=1):
    # One step takes less time than to trace it.
    eager = epochs == 1
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False, run_eagerly=eager)
    return model.fit(inputs, labels, batch_size=BATCH, epochs=epochs, verbose=0).history["loss"]


def test_every_encoder_is_tested():
    # An embedding needs somebody's network: tests/common/encoders/test_embedding.py.
    assert set(CASES) == set(ENCODERS) - {"embedding"}


@pytest.mark.parametrize("name", CASES)
def test_input_is_what_the_encoder_takes_and_the_embedding_has_its_size(name):
    shape, size = CASES[name]
    assert len(shape) == {"spectrogram": 2, "waveform": 1}[ENCODERS[name].takes]
    assert ENCODERS[name].build(keras.Input(shape)).shape == (None, size)


def assert_all_moved(model, before):
    """Every weight but biases that a normalisation follows directly: the report counts them, they have no gradient."""
    normalised = {id(layer.input) for layer in model.layers if isinstance(layer, FusedBatchNormalization)}
    biased = [layer for layer in model.layers if getattr(layer, "bias", None) is not None]
    idle = {layer.bias.path for layer in biased if id(layer.output) in normalised}
    for weight, old in zip(model.weights, before, strict=True):
        if weight.path not in idle and "seed_generator" not in weight.path:
            assert np.any(weight.numpy() != old), f"{weight.path} did not move"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_step_in_mixed_bfloat16_moves_every_trainable_weight(name, rng):
    model = build(name, "mixed_bfloat16")
    assert model.layers[-2].compute_dtype == "bfloat16"
    before = model.get_weights()
    assert np.isfinite(train(model, *examples(name, rng))).all()
    assert_all_moved(model, before)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_training_lowers_the_loss_in_mixed_float16(name, rng):
    losses = train(build(name, "mixed_float16"), *examples(name, rng), epochs=8)
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_training_moves_every_weight_and_xla_reloaded_and_exported_answer_the_same(name, rng, tmp_path):
    model = build(name)
    inputs, labels = examples(name, rng)
    before = model.get_weights()
    train(model, inputs, labels, epochs=20)
    assert_all_moved(model, before)
    # Noise looks alike to an average over the whole clip; another level does not.
    inputs *= np.linspace(0.2, 5, BATCH, dtype=np.float32).reshape(-1, *[1] * (inputs.ndim - 1))
    expected = model(inputs).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-2

    under_xla = tf.function(model, jit_compile=True)(inputs).numpy()
    np.testing.assert_allclose(under_xla, expected, atol=1e-5)

    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(reloaded(inputs).numpy(), expected, atol=1e-6)

    model.export(tmp_path / "saved_model", verbose=False)
    exported = tf.saved_model.load(tmp_path / "saved_model")
    np.testing.assert_allclose(exported.serve(inputs).numpy(), expected, atol=1e-6)

    if name == "mhatt_rnn" and tf.__version__.startswith("2.16."):
        pytest.skip("the LiteRT converter of TensorFlow 2.16 takes no bidirectional GRU")
    signature = tf.TensorSpec((1, *inputs.shape[1:]), tf.float32)
    litert.write(model, graphs.probabilities_of(model, signature), tmp_path / "model.tflite")
    np.testing.assert_allclose(
        litert.run(tmp_path / "model.tflite", inputs[:1], "probabilities"), expected[:1], atol=1e-5
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_a_clip_gets_the_same_answer_alone_and_in_a_batch(name, rng):
    model = build(name)
    inputs, _ = examples(name, rng)
    np.testing.assert_allclose(model(inputs[:1]).numpy(), model(inputs).numpy()[:1], atol=1e-6)

"""SavedModels of every form that an embedding may have; YAMNet's is a stand-in of its very signature."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.encoders.embedding import SavedModelEmbedding, embedding
from common.errors import UserError
from common.export import graphs, litert
from tests.errors import refused
from tests.yamnet import YAMNet, write_yamnet

SAMPLES = 1600


class Function(tf.Module):
    """Any function of a signature as a SavedModel without `__call__`."""

    def __init__(self, compute, signature):
        super().__init__()
        self.gain = tf.Variable(2.0)
        self.serve = tf.function(lambda audio: compute(self.gain * audio), input_signature=[signature])


def save_function(folder, compute, shape, dtype=tf.float32):
    module = Function(compute, tf.TensorSpec(shape, dtype))
    tf.saved_model.save(module, folder, signatures=module.serve)
    return folder


@pytest.fixture(scope="module")
def yamnet(tmp_path_factory):
    return write_yamnet(tmp_path_factory.mktemp("saved_models") / "yamnet")


def build(folder, **options):
    inputs = keras.Input((SAMPLES,))
    outputs = keras.layers.Dense(3, activation="softmax")(embedding(inputs, path=folder, **options))
    return keras.Model(inputs, outputs)


@pytest.fixture
def clips(rng):
    return rng.normal(0, 0.1, (3, SAMPLES)).astype(np.float32)


def test_yamnet_s_embeddings_are_averaged_over_the_frames_of_each_clip(yamnet, clips):
    layer = SavedModelEmbedding(str(yamnet))
    module = YAMNet()
    expected = np.stack([np.mean(module(clip)[1], axis=0) for clip in clips])
    np.testing.assert_allclose(layer(clips).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(layer(clips[:1]).numpy(), expected[:1], atol=1e-6)
    assert embedding(keras.Input((SAMPLES,)), path=yamnet).shape == (None, 1024)


@pytest.mark.parametrize("fine_tune", [False, True])
def test_its_variables_are_trained_only_where_asked(yamnet, clips, fine_tune):
    model = build(yamnet, fine_tune=fine_tune)
    assert len(model.trainable_weights) == (4 if fine_tune else 2)
    before = [weight.numpy() for weight in model.weights]
    embedded = keras.Model(model.input, model.layers[1].output)
    old = embedded(clips).numpy()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(clips, np.arange(3), epochs=2, verbose=0)
    moved = [bool(np.any(weight.numpy() != value)) for weight, value in zip(model.weights, before, strict=True)]
    assert moved == [weight.name in ("kernel", "bias") or (fine_tune and weight.trainable) for weight in model.weights]
    assert bool(np.abs(embedded(clips).numpy() - old).max() > 1e-3) == fine_tune


@pytest.mark.slow
def test_fine_tuned_weights_are_saved_exported_and_run_in_litert(yamnet, clips, tmp_path):
    model = build(yamnet, fine_tune=True)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(clips, np.arange(3), epochs=3, verbose=0)
    expected = model(clips).numpy()

    model.save(tmp_path / "model.keras")
    fresh = build(yamnet, fine_tune=True)
    assert np.abs(fresh(clips).numpy() - expected).max() > 1e-3
    fresh.load_weights(tmp_path / "model.keras")
    np.testing.assert_allclose(fresh(clips).numpy(), expected, atol=1e-6)

    model.export(tmp_path / "saved_model", verbose=False)
    exported = tf.saved_model.load(tmp_path / "saved_model")
    np.testing.assert_allclose(exported.serve(clips).numpy(), expected, atol=1e-6)
    litert.write(
        model, graphs.probabilities_of(model, tf.TensorSpec((1, SAMPLES), tf.float32)), tmp_path / "model.tflite"
    )
    np.testing.assert_allclose(litert.run(tmp_path / "model.tflite", clips, "probabilities"), expected, atol=1e-5)


FORMS = {
    "a batch": ((None, SAMPLES), lambda audio: audio[:, :5]),
    "a batch of frames": ((None, None), lambda audio: tf.signal.frame(audio, 5, SAMPLES)),
    "one clip": ((SAMPLES,), lambda audio: audio[:5]),
    "named": ((None,), lambda audio: {"other": audio[:2], "embedding": audio[:5]}),
    "yamnet's signature": ((None,), lambda audio: [audio[:2], audio[:5], audio[:3]]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_signature_is_enough(form, clips, tmp_path):
    shape, compute = FORMS[form]
    folder = save_function(tmp_path / "model", compute, shape)
    np.testing.assert_allclose(SavedModelEmbedding(str(folder))(clips).numpy(), 2 * clips[:, :5], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "dtype", "compute", "expected"),
    [
        ((None, 3), tf.float32, lambda audio: audio, "does not take 1600 float32 samples"),
        ((800,), tf.float32, lambda audio: audio, "its signatures take .*800"),
        ((None,), tf.float32, lambda audio: tf.reduce_sum(audio), "no embedding output"),
        (
            (None,),
            tf.float32,
            lambda audio: [audio[:2], audio[:5]],
            r"its outputs: float32 \([25],\), float32 \([25],\)",
        ),
    ],
)
def test_a_saved_model_of_another_form_is_refused(shape, dtype, compute, expected, tmp_path):
    folder = save_function(tmp_path / "model", compute, shape, dtype)
    with refused(expected):
        build(folder)


def test_a_folder_that_is_none_or_damaged_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a SavedModel"):
        build(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot load"):
        build(tmp_path)

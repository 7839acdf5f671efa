"""A LiteRT file is exported beside the head: together they are the model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from common.encoders import classifier
from common.encoders.embedding import embedding
from common.errors import UserError
from common.export import front_end, graphs, litert, saved_model
from tests.litert_files import WINDOW, write_litert

SAMPLES = 1000


def build(hidden, inputs):
    hidden = keras.layers.Identity(name=classifier.ENCODED)(keras.layers.Dropout(0.5)(hidden))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="probabilities")(hidden), name="model")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    inputs = keras.Input((SAMPLES,), name="waveform")
    file = write_litert(tmp_path_factory.mktemp("litert") / "front_end.tflite")
    return build(embedding(inputs, path=file, tensor="pool/Mean"), inputs)


@pytest.fixture
def clips(rng):
    return rng.normal(0, 0.5, (4, SAMPLES)).astype(np.float32)


def embed_as_the_report_says(folder, facts, clips):
    """Embed clips with the exported file as another program would, with what the report says."""
    interpreter = Interpreter(str(folder / facts["file"]))
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    embeddings = []
    for clip in clips:
        windows = []
        for start in facts["window_starts"]:
            interpreter.set_tensor(source["index"], clip[np.newaxis, start : start + facts["window_samples"]])
            interpreter.invoke()
            windows.append(interpreter.get_tensor(target["index"])[0])
        embeddings.append(np.mean(windows, axis=0))
    return np.array(embeddings)


def test_the_file_and_the_head_together_are_the_model(model, clips, tmp_path):
    exported = front_end.detach(model, clips, tmp_path)
    facts = exported.report["embedding"]
    assert (facts["file"], facts["window_samples"], len(facts["window_starts"])) == ("embedding.tflite", WINDOW, 3)
    assert facts["tensor"] == "network/pool/Mean"
    embeddings = embed_as_the_report_says(tmp_path, facts, clips)
    np.testing.assert_allclose(exported.inputs, embeddings, atol=1e-6)
    expected = model.predict(clips, verbose=0)
    np.testing.assert_array_equal(exported.expected, expected)
    for name, module, batch in (("litert", litert, 1), ("saved_model", saved_model, None)):
        signature = exported.signature(batch)
        assert (signature.name, signature.shape[1]) == ("embedding", 6)
        graph = graphs.probabilities_of(exported.model, signature)
        module.write(exported.model, graph, tmp_path / name)
        np.testing.assert_allclose(module.run(tmp_path / name, embeddings, "probabilities"), expected, atol=1e-5)


def test_a_model_on_another_model_with_a_file_is_detached_too(model, clips, tmp_path):
    """`--embedding` may be a run whose own network is a LiteRT file."""
    inputs = keras.Input((SAMPLES,), name="waveform")
    inner = keras.Model(model.input, model.get_layer(classifier.ENCODED).output, name="embedding")
    outer = build(inner(inputs, training=False), inputs)
    exported = front_end.detach(outer, clips, tmp_path)
    np.testing.assert_allclose(
        exported.model.predict(exported.inputs, verbose=0), outer.predict(clips, verbose=0), atol=1e-6
    )


def test_other_models_are_exported_as_they_are(clips, tmp_path):
    inputs = keras.Input((SAMPLES,), name="waveform")
    model = build(keras.layers.Dense(2)(inputs), inputs)
    exported = front_end.detach(model, clips, tmp_path)
    assert exported.model is model and exported.inputs is clips and exported.report == {}
    assert exported.signature(1) == tf.TensorSpec((1, SAMPLES), tf.float32, name="waveform")
    assert not list(tmp_path.iterdir())


def test_a_written_file_with_other_values_is_refused(model, clips, tmp_path, monkeypatch):
    class Other(front_end.FrontEnd):
        def __call__(self, clips):
            return super().__call__(clips) + 0.1

    monkeypatch.setattr(front_end, "FrontEnd", Other)
    with pytest.raises(UserError, match=r"embedding\.tflite: outputs differ from the Keras model"):
        front_end.detach(model, clips, tmp_path)

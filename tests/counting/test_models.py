import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from common import runs
from common.export import litert
from common.export.graphs import Graph
from common.training import optimizers
from counting.config import HEADS, MODELS, VARIANTS, Config, count_matrix
from counting.models import (
    CountMetric,
    OrdinalProbabilities,
    PoissonProbabilities,
    build_model,
    compile_model,
    load_for_inference,
)
from counting.serving import decide

TRAINABLE = {
    "m3": 5_923,
    "m5": 37_507,
    "m11": 449_059,
    "m18": 924_643,
    "2d-1": 483,
    "2d-2": 9_795,
    "2d-4": 65_571,
}


@pytest.mark.parametrize("name", TRAINABLE)
def test_the_reports_networks_have_its_parameters(name):
    model = build_model(VARIANTS[f"report-{name}"])
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == TRAINABLE[name]


def test_original_widths_are_wider():
    narrow, wide = (build_model(Config(model="m3", head="class", original_widths=wide)) for wide in (False, True))
    assert wide.count_params() > 10 * narrow.count_params()


@pytest.mark.parametrize("name", [name for name in MODELS if name != "embedding"])
def test_every_network_counts(name, rng):
    model = build_model(VARIANTS[name])
    answers = model(rng.normal(0, 0.1, (2, 16000)).astype(np.float32)).numpy()
    assert answers.shape == (2, 9)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_and_is_loaded_again(head, rng, tmp_path):
    """A louder clip has more speakers: after some steps the loss falls, whatever the head."""
    keras.utils.set_random_seed(0)
    config = Config(
        model="m3",
        head=head,
        max_speakers=3,
        clip_seconds=0.1,
        epochs=30,
        learning_rate=0.01,
        batch_size=30,
        dropout=0.0,
    )
    totals = np.arange(30) % 3 + 1
    waveforms = (rng.normal(0, 0.1, (30, 1600)) * totals[:, None]).astype(np.float32)
    matrix = count_matrix(config.counts, config.known_sexes)
    labels = matrix[:, totals - 1].T / matrix.sum(axis=0)[totals - 1][:, None]
    model = build_model(config)
    compile_model(model, config, optimizers.build_optimizer(config, 1), 1)
    losses = model.fit(waveforms, labels, batch_size=30, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    signature = tf.TensorSpec((1, 1600), tf.float32, name="waveform")
    litert.write(model, Graph(lambda waveform: decide(config, model(waveform)), signature), tmp_path / "model.tflite")
    lite = litert.run(tmp_path / "model.tflite", waveforms[:3], "probabilities")
    np.testing.assert_allclose(lite, model.predict(waveforms[:3], verbose=0), atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(waveforms, verbose=0), model.predict(waveforms, verbose=0), atol=1e-6)


def test_conditional_probabilities_become_those_of_counts():
    probabilities = OrdinalProbabilities()(np.array([[0.8, 0.5]], np.float32)).numpy()
    np.testing.assert_allclose(probabilities, [[0.2, 0.4, 0.4]], atol=1e-6)


def test_a_rate_gives_poissons_probabilities_among_the_counts():
    expected = stats.poisson.pmf([1, 2, 3], 2.5)
    probabilities = PoissonProbabilities((1, 2, 3))(np.array([[2.5]], np.float32)).numpy()
    np.testing.assert_allclose(probabilities[0], expected / expected.sum(), atol=1e-5)


def test_metrics_are_of_the_count_that_labels_sum_up_to():
    totals = (1, 1, 2, 2, 2)  # F, M, FF, FM, MM
    truth = np.eye(5, dtype=np.float32)[[0, 3, 3, 2]]
    # The likeliest label of the second is M, but two speakers are likelier than one.
    answers = np.array([[1, 0, 0, 0, 0], [0, 0.4, 0.3, 0.2, 0.1], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]], np.float32)
    accuracy, error = (CountMetric(totals, kind) for kind in ("accuracy", "mean_absolute_error"))
    for metric in (accuracy, error):
        metric.update_state(truth[:2], answers[:2])
        metric.update_state(truth[2:], answers[2:])
    assert (float(accuracy.result()), float(error.result())) == (0.75, 0.25)


@pytest.mark.parametrize("head", ["sex", "class"])
def test_a_run_is_loaded_as_a_counter_that_answers_as_its_network(tmp_path, rng, head):
    config = dataclasses.replace(VARIANTS["tiny"], head=head)
    run = runs.start(tmp_path / "run", config, "counting", "tiny")
    model = build_model(config)
    model.save(run.model_path)
    counter = load_for_inference(run.folder)
    assert (counter.counts, counter.sexes) == (config.counts, config.sexes if head == "sex" else None)
    clips = rng.normal(0, 0.1, (3, config.num_samples)).astype(np.float32)
    decided = decide(config, model.predict(clips, verbose=0))
    for number, clip in enumerate(clips):
        answer = counter.predict(clip)
        assert answer.count == decided["count"][number]
        assert answer.female == (decided["female"][number] if head == "sex" else None)
        np.testing.assert_allclose(answer.probability, decided["count_probabilities"][number].numpy().max(), atol=1e-6)

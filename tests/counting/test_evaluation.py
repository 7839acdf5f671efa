import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from common import files
from counting import data, evaluation, inference
from counting.config import Config
from counting.models import load_model


@pytest.fixture(scope="module")
def evaluated(counting_run, shards_dir):
    config, model = load_model(counting_run)
    corpus = data.load_corpus(config, shards_dir)
    split = data.prepare_split(corpus, "test")
    corpus = dataclasses.replace(corpus, config=data.as_evaluated(config))
    return corpus, model, split, *evaluation.evaluate_split(model, corpus, split, num_examples=60)


def test_figures_are_those_of_the_answers(evaluated):
    corpus, _, split, figures, predictions = evaluated
    probabilities = predictions.probabilities
    config = corpus.config
    truth = data.evaluated_truth(config, split, 60)
    pairs = np.array(config.sexes)
    of_counts = np.stack([probabilities[:, pairs.sum(axis=1) == count].sum(axis=1) for count in (1, 2)], axis=1)
    right = of_counts.argmax(axis=1) + 1 == truth.sum(axis=1)
    assert figures["accuracy"] == pytest.approx(right.mean())
    assert figures["by_count"]["1"]["accuracy"] == pytest.approx(right[truth.sum(axis=1) == 1].mean())
    assert sum(row["num_examples"] for row in figures["by_sex"].values()) == 60
    assert np.sum(figures["confusion"]) == np.sum(figures["sex_confusion"]) == 60
    women = (truth[:, 1] == 0) & right
    assert figures["by_sex"]["women only"]["accuracy"] == pytest.approx(women.sum() / (truth[:, 1] == 0).sum())


def test_the_same_mixtures_are_tested_whatever_the_seed_and_the_batch(evaluated):
    corpus, _, split, _, _ = evaluated
    config = corpus.config
    other = dataclasses.replace(config, seed=5, batch_size=7)
    first, second = (
        np.concatenate([waveforms for waveforms, _ in data.build_dataset(one, split, num_examples=70)])
        for one in (config, other)
    )
    assert first.shape == (70, 16000)
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_women_and_men_are_those_of_the_likeliest_count():
    """The likeliest pair of all is one woman, but two speakers are likelier than one."""
    config = Config(max_speakers=2)
    answer = inference.decide(np.array([[0.4, 0.0, 0.2, 0.3, 0.1]], np.float32), config.counts, config.sexes)
    predicted = np.stack([answer["female"], answer["male"]], axis=1)
    figures = evaluation.sex_figures(config, np.array([[1, 0]]), predicted)
    assert figures["sex_accuracy"] == 0.0
    assert figures["by_sex"]["women only"] == {"accuracy": 0.0, "sex_accuracy": 0.0, "num_examples": 1}
    assert evaluation.sex_figures(config, np.array([[1, 1]]), predicted)["sex_accuracy"] == 1.0


def test_a_condition_that_cannot_be_is_left_out(evaluated, monkeypatch, caplog):
    corpus, model, split, _, _ = evaluated
    conditions = {"possible": {}, "impossible": {"cuts": "voiced", "min_activity": 1.0, "clip_seconds": 3.5}}
    monkeypatch.setattr(evaluation, "CONDITIONS", conditions)
    assert list(dict(evaluation.under_conditions(model, corpus, split, num_examples=30))) == ["possible"]
    assert 'condition "impossible" skipped' in caplog.text


def test_the_protocol_says_how_and_is_written_down(evaluated, tmp_path):
    figures = evaluated[3]
    files.write_json(tmp_path / "figures.json", figures)
    protocol = json.loads((tmp_path / "figures.json").read_text())["protocol"]
    assert (protocol["cuts"], protocol["split"], protocol["num_mixtures"]) == ("voiced", "test", 60)
    assert protocol["num_speakers_shared_with_training"] is None


def test_the_table_shows_every_count(evaluated):
    lines = evaluation.format_table(evaluated[3]).splitlines()
    assert lines[1].split()[0] == "1" and lines[2].split()[0] == "2"
    assert any(line.startswith("accuracy ") for line in lines)


def test_a_mistake_names_its_recordings_and_where_in_them(evaluated, tmp_path):
    _, _, split, figures, predictions = evaluated
    # Half of the mixtures are of one speaker: the others become mistakes, some surer than others.
    probabilities = np.tile([0.6, 0.4], (60, 1)) + 0.001 * np.arange(60)[:, None] * [1, -1]
    decided = {
        "count": np.ones(60, int),
        "count_probabilities": probabilities,
        "female": np.ones(60),
        "male": np.zeros(60),
    }
    paths = evaluation.save_plots(figures, predictions._replace(decided=decided), tmp_path / "test")
    assert paths[-1].name == "test_mistakes.csv"
    table = pd.read_csv(paths[-1])
    assert len(table) == (predictions.truth.sum(axis=1) == 2).sum() > 0
    assert set(table["true"]) == {2} and set(table["predicted"]) == {1}
    assert table["probability"].is_monotonic_decreasing and table["probability"].iloc[0] > table["probability"].iloc[-1]
    assert (table["true_female"] + table["true_male"] == 2).all() and (table["predicted_female"] == 1).all()
    for sources in table["file"]:
        places = [source.rpartition(" at ") for source in sources.split(";")]
        assert len(places) == 2
        assert all(path in set(split.bank.table["path"]) and place.endswith(" s") for path, _, place in places)

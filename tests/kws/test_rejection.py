import dataclasses
import json
import shutil

import numpy as np
import pytest

from benchmarks.example_corpora.whistles import write_words
from common import config as configs
from kws import acceptance, data, evaluation, rejection
from kws.config import TASK, Config
from kws.models import load_model


def test_training_stores_the_threshold_that_keeps_the_validation_keywords(run_dir, corpus_dir, shards_dir):
    stored = json.loads((run_dir / "threshold.json").read_text())
    config, model = load_model(run_dir)
    corpus = data.load_corpus(config, shards_dir)
    split = data.prepare_split(corpus, "validation")
    scores = model.predict(data.build_dataset(config, split), verbose=0).max(axis=1)
    assert stored["threshold"] == pytest.approx(np.sort(scores)[int(0.05 * len(scores))], abs=1e-5)
    assert stored["keywords_kept"]["share"] >= stored["target_recall"] == 0.95
    assert acceptance.operating_point(run_dir).threshold == stored["threshold"]


@pytest.fixture(scope="module")
def judged(run_dir, corpus_dir, shards_dir, tmp_path_factory):
    """The figures of a closed set of three words on a corpus with a fourth, and noise, that it never heard."""
    root = shutil.copytree(corpus_dir, tmp_path_factory.mktemp("other") / "words")
    shutil.copytree(write_words(root.parent / "more", ("high",), seed=5) / "high", root / "trill")
    noise_dir = root.parent / "noise"
    write_words(noise_dir, ("low",), num_clips=64, seed=6)
    config, model = load_model(run_dir)
    config = dataclasses.replace(config, data_dir=str(root), noise_dir=str(noise_dir))
    corpus = data.load_corpus(config, shards_dir)
    split = data.prepare_split(corpus, "test")
    _, predictions = evaluation.evaluate_split(model, corpus, split)
    probabilities = predictions.probabilities
    return corpus, probabilities, *rejection.evaluate_split(model, corpus, split, probabilities, 0.5)


def test_unseen_words_are_judged_by_all_speakers_and_by_those_of_the_split(judged):
    corpus, _, figures, scores = judged
    rejected = figures["stored_threshold"]["rejected"]
    assert rejected["unseen words, all speakers"]["total"] == 24
    of_test = corpus.manifest[corpus.manifest["split"] == "test"]["speaker"].nunique()
    assert rejected["unseen words, speakers of test"]["total"] == 3 * of_test
    assert figures["stored_threshold"]["unseen_words"]["trill"] == rejected["unseen words, all speakers"]
    # It sounds like the keyword "high", so that only the counting is tested: nothing could reject it.
    expected = int((scores["unseen words, all speakers"] < 0.5).sum())
    assert rejected["unseen words, all speakers"]["count"] == expected < 6


def test_noise_of_the_split_is_judged(judged):
    corpus, _, figures, _ = judged
    num_test = (corpus.noise["split"] == "test").sum()
    assert 0 < num_test < 64
    assert figures["stored_threshold"]["rejected"]["noise"]["total"] == num_test


def test_the_figures_follow_from_the_probabilities(judged):
    _, probabilities, figures, scores = judged
    kept = figures["stored_threshold"]["keywords_kept"]
    assert kept["count"] == (probabilities.max(axis=1) >= 0.5).sum()
    assert kept["interval"][0] <= kept["share"] <= kept["interval"][1]
    point = figures["operating_point"]
    assert point["keywords_kept"]["share"] >= 0.95
    for name, rate in point["rejected"].items():
        assert rate["count"] == (scores[name] < point["threshold"]).sum()


def test_the_table_and_the_plot_show_every_group(judged, tmp_path):
    _, _, figures, scores = judged
    shown = rejection.format_table(figures)
    for name in ("keywords accepted and correct", "noise rejected", "unseen words, speakers of test rejected"):
        assert shown.count(name) == 2, name
    assert rejection.save_plot(scores, figures, tmp_path / "plot.png") == [tmp_path / "plot.png"]
    assert rejection.save_plot({"keywords": scores["keywords"]}, figures, tmp_path / "none.png") == []


def test_pooled_figures_add_the_counts_up(judged):
    _, _, figures, _ = judged
    pooled = rejection.pool([figures, figures])
    for point in ("stored_threshold", "operating_point"):
        for name, rate in figures[point]["rejected"].items():
            assert pooled[point]["rejected"][name]["count"] == 2 * rate["count"]
        assert pooled[point]["keywords_kept"]["share"] == figures[point]["keywords_kept"]["share"]
    assert "keywords accepted" in rejection.format_table(pooled)


def test_older_configurations_keep_the_usual_share(tmp_path):
    configs.save(Config(), TASK, "default", tmp_path / "config.json")
    saved = json.loads((tmp_path / "config.json").read_text())
    for name in ("target_recall", "unseen_words", "num_folds", "fold"):
        del saved["config"][name]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    assert configs.load(Config, TASK, tmp_path / "config.json") == Config()

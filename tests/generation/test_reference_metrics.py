import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.example_corpora.riffs import write_riffs
from generation import data, reference_metrics
from generation.config import VARIANTS
from generation.spectra import Spectra


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = write_riffs(tmp_path_factory.mktemp("riffs"))
    config = dataclasses.replace(VARIANTS["tiny"], corpus="folder", data_dir=str(folder))
    corpus = data.load_corpus(config, tmp_path_factory.mktemp("shards"))
    splits = {name: data.prepare_split(corpus, name) for name in ("train", "test")}
    spectra = Spectra(config)
    spectra.adapt([tf.constant(data.statistics_excerpts(config, splits["train"]))])
    return config, spectra, splits, reference_metrics.measure(config, spectra, splits["train"], splits["test"])


def test_excerpts_are_counted_as_said(measured):
    config, _, splits, found = measured
    seconds = 5.0 - config.clip_seconds
    assert len(found.train) == 4 * (1 + int(seconds / reference_metrics.DENSE_SECONDS))
    assert len(found.held_out_apart) == 2 * 5 == len(found.held_out_nearest)
    assert [track.shape[0] for track in found.train_tracks] == [552] * 4


def test_recordings_are_nearer_to_recordings_than_noise_is(measured, rng):
    config, spectra, splits, found = measured
    real = reference_metrics.figures(found, found.train)
    noise = reference_metrics.decibels(spectra, rng.normal(0, 0.1, (20, config.num_samples)).astype(np.float32))
    fake = reference_metrics.figures(found, found.embedding(noise))
    assert fake["frechet_distance"] > 3 * real["frechet_distance"]
    assert fake["precision"] < real["precision"]


def test_training_excerpts_played_again_are_found(measured):
    _, _, _, found = measured
    copies = np.stack([track[20:131] for track in found.train_tracks])
    assert reference_metrics.replay_figures(found, copies)["replays"] == 1
    assert reference_metrics.replay_figures(found, copies)["nearest_ratio"] < 0.1

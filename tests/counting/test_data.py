import dataclasses

import numpy as np
import pytest
import soundfile

from common.errors import UserError
from counting import data
from counting.config import VARIANTS

CHANGES = {"corpus": "folder", "max_speakers": 2, "clip_seconds": 0.5, "batch_size": 8, "max_speed": 0.1}


@pytest.fixture(scope="module")
def corpus(voices_dir, shards_dir):
    config = dataclasses.replace(VARIANTS["tiny"], data_dir=str(voices_dir), **CHANGES)
    return data.load_corpus(config, shards_dir)


def batches(dataset, count):
    return [(waveforms.numpy(), labels.numpy()) for waveforms, labels in dataset.take(count)]


def test_training_is_endless_new_and_the_same_from_its_seed(corpus):
    split = data.prepare_split(corpus, "train")
    first, again, resumed = (
        batches(data.build_dataset(corpus.config, split, training=True, initial_step=step), 3) for step in (0, 0, 2)
    )
    assert first[0][0].shape == (8, 8000)
    assert first[0][1].shape == (8, 5)
    np.testing.assert_array_equal(first[2][0], again[2][0])
    np.testing.assert_array_equal(first[2][0], resumed[0][0])
    assert np.abs(first[0][0] - first[1][0]).max() > 0.001
    other = dataclasses.replace(corpus.config, seed=1)
    assert np.abs(first[0][0] - batches(data.build_dataset(other, split, training=True), 1)[0][0]).max() > 0.001


def test_evaluation_is_one_pass_of_the_same_mixtures(corpus):
    split = data.prepare_split(corpus, "test")
    config = data.as_evaluated(corpus.config)
    found = batches(data.build_dataset(config, split, num_examples=21), 10)
    assert sum(len(waveforms) for waveforms, _ in found) == 21
    labels = np.concatenate([labels for _, labels in found])
    truth = data.evaluated_truth(config, split, 21)
    np.testing.assert_array_equal(labels.argmax(axis=1), data.label_indices(config, truth))
    assert len(data.speaker_names(dataclasses.replace(config, test_mixtures=30), split)) == 30


def test_no_speaker_is_in_two_splits(corpus):
    speakers = [data.speakers_of(corpus, split) for split in ("train", "validation", "test")]
    assert not set.intersection(*speakers)
    assert list(map(len, speakers)) == [12, 6, 6]


def test_a_count_outside_the_range_is_one_line(corpus):
    with pytest.raises(UserError, match="a mixture has 3 speakers, expected 1 to 2"):
        data.label_indices(corpus.config, np.array([[1, 0], [1, 2]]))


def test_noise_of_the_split_is_used_where_there_is_some(corpus, tmp_path, rng):
    import soundfile

    for number in range(20):
        soundfile.write(tmp_path / f"{number}.wav", rng.normal(0, 0.1, 16000), 16000)
    config = dataclasses.replace(corpus.config, noise_dir=str(tmp_path))
    loaded = data.load_corpus(config, corpus.shards_dir)
    assert data.prepare_split(loaded, "train").noise.shape[1] == 8000
    plain = data.prepare_split(loaded, "train").noise
    varied = dataclasses.replace(loaded, config=dataclasses.replace(config, vary_noise=True))
    # At five speeds the same noise lasts 5.2 times as long, of which only whole clips are kept.
    assert 3 * len(plain) <= len(data.prepare_split(varied, "train").noise) <= 5.2 * len(plain)
    assert len(data.prepare_split(varied, "test").noise) == len(data.prepare_split(loaded, "test").noise)
    assert data.prepare_split(corpus, "train").noise is None


@pytest.mark.parametrize("step", [0, 5])
def test_the_files_of_a_batch_are_those_it_was_mixed_from(corpus, step):
    config = dataclasses.replace(corpus.config, max_speed=0.0, level_rule="mean")
    split = data.prepare_split(corpus, "train")
    waveforms, _ = next(iter(data.build_dataset(config, split, training=True, initial_step=step)))
    files = data.batch_files(config, split, step)
    assert {text.count(" + ") for text in files} == {0, 1}
    for text, waveform in zip(files, waveforms.numpy(), strict=True):
        cuts = []
        for part in text.split(" + "):
            path, seconds = part.removesuffix(" s").rsplit(" at ", 1)
            start = round(float(seconds) * config.sample_rate)
            cuts.append(soundfile.read(path, config.num_samples, start, dtype="float32")[0])
        np.testing.assert_allclose(waveform, np.mean(cuts, axis=0), atol=1e-4)

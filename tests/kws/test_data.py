import dataclasses

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from benchmarks.example_corpora.whistles import RATE
from kws import data
from kws.config import VARIANTS
from kws.models import build_model

TINY = VARIANTS["tiny"]


def test_validation_batches_are_the_clips_and_their_labels(corpus_config, shards_dir):
    corpus = data.load_corpus(corpus_config, shards_dir)
    split = data.prepare_split(corpus, "validation")
    waveforms, labels = zip(*data.build_dataset(corpus.config, split).as_numpy_iterator(), strict=True)
    waveforms, labels = np.concatenate(waveforms), np.concatenate(labels)
    assert len(waveforms) == len(split.shards.rows)
    for waveform, label, row in zip(waveforms, labels, split.shards.rows, strict=True):
        recording, _ = soundfile.read(split.shards.manifest["path"][row], dtype="float32")
        np.testing.assert_allclose(waveform[: len(recording)], recording, atol=1e-4)
        assert corpus.config.labels[label.argmax()] == split.shards.manifest["label"][row]


def test_training_batches_are_changed_anew_every_epoch_and_repeat_under_a_seed(corpus_config, shards_dir):
    config = dataclasses.replace(corpus_config, noise_probability=1.0)
    corpus = data.load_corpus(config, shards_dir)
    split = data.prepare_split(corpus, "train")
    steps = data.steps_per_epoch(corpus.config, split)

    def batches(epoch):
        dataset = data.build_dataset(corpus.config, split, training=True, initial_step=epoch * steps)
        return [waveform for waveform, _ in dataset.take(2 * steps).as_numpy_iterator()]

    first = batches(0)
    np.testing.assert_array_equal(first, batches(0))
    np.testing.assert_array_equal(first[steps:], batches(1)[:steps])
    assert not np.array_equal(first[:steps], first[steps:])


def test_an_epoch_has_as_many_examples_as_one_asks_for(corpus_config, shards_dir):
    corpus = data.load_corpus(corpus_config, shards_dir)
    split = data.prepare_split(corpus, "train")
    config = dataclasses.replace(corpus.config, batch_size=4)
    assert data.steps_per_epoch(config, split) == len(split.shards.rows) // 4
    assert data.steps_per_epoch(dataclasses.replace(config, epoch_examples=100), split) == 25


def test_mixed_clips_have_mixed_labels(corpus_config, shards_dir):
    config = dataclasses.replace(corpus_config, mixup_probability=1.0)
    corpus = data.load_corpus(config, shards_dir)
    dataset = data.build_dataset(corpus.config, data.prepare_split(corpus, "train"), training=True)
    labels = np.concatenate([labels for _, labels in dataset.take(5).as_numpy_iterator()])
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert ((labels > 0.05) & (labels < 0.95)).any()


def test_teachers_give_their_share_of_every_label(corpus_config, shards_dir):
    config = dataclasses.replace(corpus_config, teacher_weight=0.6)
    corpus = data.load_corpus(config, shards_dir)
    split = data.prepare_split(corpus, "train")
    teachers = [build_model(dataclasses.replace(corpus.config, seed=seed)) for seed in (1, 2)]
    waveforms, labels = next(iter(data.build_dataset(corpus.config, split, training=True, teachers=teachers)))
    _, plain = next(iter(data.build_dataset(corpus.config, split, training=True)))
    answers = sum(teacher(waveforms, training=False).numpy() for teacher in teachers) / 2
    np.testing.assert_allclose(labels, 0.4 * plain.numpy() + 0.6 * answers, atol=1e-5)


def test_no_augmentation_leaves_the_clips_alone(corpus_config):
    plain = dataclasses.replace(VARIANTS["report"], words=("a",))
    waveforms = tf.random.stateless_normal((3, plain.num_samples), [1, 2])
    augmented = data.augment_batch(plain, waveforms, None, tf.constant([3, 4]))
    np.testing.assert_array_equal(augmented, waveforms)


def test_recorded_noise_is_that_of_the_training_split(commands_config, shards_dir):
    corpus = data.load_corpus(commands_config(noise_probability=1.0), shards_dir)
    bank = data.noise_of_training(corpus.config, data.prepare_split(corpus, "train"))
    train = corpus.noise[corpus.noise["split"] == "train"]
    assert bank.shape == (sum(int(seconds) for seconds in train["duration"]), RATE)
    assert 0 < len(train) < len(corpus.noise)


@pytest.mark.parametrize("step", [0, 9])
def test_the_files_of_a_batch_are_those_it_was_read_from(corpus_config, shards_dir, step):
    corpus = data.load_corpus(dataclasses.replace(corpus_config, max_shift_ms=0, max_gain_db=0), shards_dir)
    split = data.prepare_split(corpus, "train")
    waveforms, _ = next(iter(data.build_dataset(corpus.config, split, training=True, initial_step=step)))
    files = data.batch_files(corpus.config, split, step)
    assert len(files) == len(waveforms) == 8
    for path, waveform in zip(files, waveforms.numpy(), strict=True):
        recorded, _ = soundfile.read(path, dtype="float32")
        np.testing.assert_allclose(waveform[: len(recorded)], recorded, atol=1e-4)

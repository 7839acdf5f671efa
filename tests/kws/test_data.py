import dataclasses

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from common.errors import UserError
from kws import data
from kws.config import COMMAND_WORDS, VARIANTS
from tests.whistles import PITCHES_HZ, RATE, write_words

TINY = VARIANTS["tiny"]


@pytest.fixture
def corpus_config(corpus_dir):
    return dataclasses.replace(TINY, corpus="folder", data_dir=str(corpus_dir), batch_size=8)


@pytest.fixture
def commands_dir(tmp_path, rng):
    """A miniature in the layout of Speech Commands: three words, background noise, the official lists."""
    root = write_words(tmp_path / "commands", ("low", "high", "rising"), num_clips=24)
    (root / "_background_noise_").mkdir()
    for name in ("tap", "bike", "cat"):
        soundfile.write(root / "_background_noise_" / f"{name}.wav", rng.normal(0, 0.1, 20 * RATE), RATE)
    for listing, speakers in (("validation_list.txt", "6"), ("testing_list.txt", "7")):
        names = [f"{p.parent.name}/{p.name}" for p in root.glob("*/*.wav") if p.name.startswith(f"speaker{speakers}")]
        (root / listing).write_text("\n".join(names) + "\n")
    return root


def commands_config(root, **changes):
    return dataclasses.replace(TINY, corpus="speech_commands", data_dir=str(root), words=("low", "high"), **changes)


def test_every_class_of_a_folder_is_a_word(corpus_config, shards_dir):
    assert data.load_corpus(corpus_config, shards_dir).config.words == tuple(sorted(PITCHES_HZ))


def test_the_default_words_of_other_corpora_are_the_ten_commands(commands_dir, shards_dir):
    config = dataclasses.replace(commands_config(commands_dir), words=())
    with pytest.raises(UserError, match=f'no recordings of the word "{COMMAND_WORDS[0]}"'):
        data.load_corpus(config, shards_dir)


def test_speakers_stand_in_one_split_by_the_official_lists(commands_dir, shards_dir):
    table = data.load_corpus(commands_config(commands_dir), shards_dir).manifest
    assert set(table["label"]) == {"low", "high"}
    assert (table.groupby("speaker")["split"].nunique() == 1).all()
    assert set(table.loc[table["split"] == "test", "speaker"]) == {"speaker7"}


def test_twelve_label_operation_adds_unknown_and_silence_about_as_often_as_a_word(commands_dir, shards_dir):
    corpus = data.load_corpus(commands_config(commands_dir, unknown=True, silence=True), shards_dir)
    assert corpus.config.labels == ("low", "high", "_silence_", "_unknown_")
    counts = corpus.manifest.groupby(["split", "label"]).size().unstack()
    assert (counts.loc["train"] == counts.loc["train", "low"]).all()
    silence = corpus.manifest[corpus.manifest["label"] == "_silence_"]
    assert silence["path"].str.contains("_background_noise_").all()
    assert (silence["duration"] == 1.0).all()
    assert (silence["start"] % 1 != 0).any()
    unknown = corpus.manifest[corpus.manifest["label"] == "_unknown_"]
    assert unknown["path"].str.contains("rising").all()


def test_silence_comes_from_its_own_folder_where_there_is_one(commands_dir, shards_dir, rng):
    folder = commands_dir / "_silence_"
    folder.mkdir()
    for number in range(40):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.01, RATE), RATE)
    corpus = data.load_corpus(commands_config(commands_dir, silence=True), shards_dir)
    silence = corpus.manifest[corpus.manifest["label"] == "_silence_"]
    assert silence["path"].str.contains("_silence_").all()


def test_the_random_split_has_the_shares_of_the_report(corpus_config, shards_dir):
    config = dataclasses.replace(corpus_config, split_rule="random")
    counts = data.load_corpus(config, shards_dir).manifest["split"].value_counts()
    assert counts["test"] == 8  # a tenth of 72, rounded up as scikit-learn does
    assert counts["validation"] == 7
    assert counts["train"] == 57


def test_several_corpora_are_one(corpus_dir, commands_dir, shards_dir):
    config = dataclasses.replace(
        TINY, corpus="folder,speech_commands", data_dir=f"{corpus_dir},{commands_dir}", words=("low", "high")
    )
    table = data.load_corpus(config, shards_dir).manifest
    assert len(table) == 2 * 2 * 24


def test_validation_batches_are_the_clips_and_their_labels(corpus_config, shards_dir):
    corpus = data.load_corpus(corpus_config, shards_dir)
    prepared = data.prepare_split(corpus, "validation")
    waveforms, labels = zip(*data.build_dataset(corpus, prepared).as_numpy_iterator(), strict=True)
    waveforms, labels = np.concatenate(waveforms), np.concatenate(labels)
    assert len(waveforms) == len(prepared.rows)
    for waveform, label, row in zip(waveforms, labels, prepared.rows, strict=True):
        recording, _ = soundfile.read(prepared.manifest["path"][row], dtype="float32")
        np.testing.assert_allclose(waveform[: len(recording)], recording, atol=1e-4)
        assert corpus.config.labels[label.argmax()] == prepared.manifest["label"][row]


def test_training_batches_are_changed_anew_every_epoch_and_repeat_under_a_seed(corpus_config, shards_dir):
    config = dataclasses.replace(corpus_config, noise_probability=1.0)
    corpus = data.load_corpus(config, shards_dir)
    prepared = data.prepare_split(corpus, "train")
    steps = data.steps_per_epoch(corpus.config, prepared)

    def batches(epoch):
        dataset = data.build_dataset(corpus, prepared, training=True, initial_epoch=epoch)
        return [waveform for waveform, _ in dataset.take(2 * steps).as_numpy_iterator()]

    first = batches(0)
    np.testing.assert_array_equal(first, batches(0))
    np.testing.assert_array_equal(first[steps:], batches(1)[:steps])
    assert not np.array_equal(first[:steps], first[steps:])


def test_no_augmentation_leaves_the_clips_alone(corpus_config):
    plain = dataclasses.replace(VARIANTS["report"], words=("a",))
    waveforms = tf.random.stateless_normal((3, plain.num_samples), [1, 2])
    augmented = data.augment_batch(plain, waveforms, None, tf.constant([3, 4]))
    np.testing.assert_array_equal(augmented, waveforms)


def test_recorded_noise_is_that_of_the_training_split(commands_dir, shards_dir):
    corpus = data.load_corpus(commands_config(commands_dir, noise_probability=1.0), shards_dir)
    bank = data.noise_bank(corpus)
    train = corpus.noise[corpus.noise["split"] == "train"]
    assert bank.shape == (sum(int(seconds) for seconds in train["duration"]), RATE)
    assert 0 < len(train) < len(corpus.noise)

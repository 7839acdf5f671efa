import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
import tensorflow as tf

from common.errors import UserError
from kws import data, recordings
from kws.config import COMMAND_WORDS, VARIANTS
from kws.models import build_model
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


def test_cuts_of_speech_fill_up_the_unknown_words_of_training(commands_dir, shards_dir, tmp_path, rng):
    (tmp_path / "speech").mkdir()
    soundfile.write(tmp_path / "speech" / "talk.wav", rng.normal(0, 0.1, 60 * RATE), RATE)
    changes = {"unknown": True, "unknown_ratio": 2.0, "speech_dir": str(tmp_path / "speech")}
    table = data.load_corpus(commands_config(commands_dir, **changes), shards_dir).manifest
    unknown = table[table["label"] == "_unknown_"]
    cuts = unknown[unknown["path"].str.endswith("talk.wav")]
    a_keyword = (table["split"] == "train").sum() - (unknown["split"] == "train").sum()
    assert (unknown["split"] == "train").sum() == a_keyword / 2 * 2.0
    assert 0 < len(cuts) < (unknown["split"] == "train").sum()
    assert set(cuts["split"]) == {"train"}
    assert (cuts["duration"] == 1.5 * TINY.clip_seconds).all()


def test_silence_comes_from_its_own_folder_where_there_is_one(commands_dir, shards_dir, rng):
    folder = commands_dir / "_silence_"
    folder.mkdir()
    for number in range(40):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.01, RATE), RATE)
    corpus = data.load_corpus(commands_config(commands_dir, silence=True), shards_dir)
    silence = corpus.manifest[corpus.manifest["label"] == "_silence_"]
    assert silence["path"].str.contains("_silence_").all()


@pytest.fixture
def many_words_dir(commands_dir):
    """The miniature with three other words, each said by every speaker."""
    for word in ("warble", "trill"):
        shutil.copytree(commands_dir / "rising", commands_dir / word)
        with open(commands_dir / "testing_list.txt", "a") as listing:
            listing.writelines(f"{word}/{path.name}\n" for path in (commands_dir / word).glob("speaker7*"))
    return commands_dir


def words_of(rows):
    return {path.split("/")[-2] for path in rows["path"]}


@pytest.mark.parametrize("split_rule", ["official", "random", "folds"])
def test_unseen_words_are_kept_out_of_training_and_validation(many_words_dir, shards_dir, split_rule):
    config = commands_config(many_words_dir, unknown=True, unseen_words=("trill",), split_rule=split_rule)
    corpus = data.load_corpus(config, shards_dir)
    # The random split knows no speakers: its test split is kept free of them too.
    heard = corpus.manifest if split_rule == "random" else corpus.manifest[corpus.manifest["split"] != "test"]
    assert words_of(heard) == {"low", "high", "rising", "warble"}
    assert words_of(corpus.unseen) == {"trill"}
    assert len(corpus.unseen) == 24


def test_without_the_class_unknown_every_other_word_is_unseen(many_words_dir, shards_dir):
    corpus = data.load_corpus(commands_config(many_words_dir), shards_dir)
    assert words_of(corpus.unseen) == {"rising", "trill", "warble"}
    assert words_of(corpus.manifest) == {"low", "high"}


def test_unseen_words_are_not_heard_from_synthetic_voices_either():
    config = dataclasses.replace(TINY, words=("low",), unknown=True, unseen_words=("bed",))
    rows = [("a/bed/1.wav", "_unknown_", "synthetic"), ("a/cat/1.wav", "_unknown_", "synthetic")]
    rows += [("b/bed/1.wav", "bed", "folder"), ("b/cat/1.wav", "cat", "folder")]
    others = pd.DataFrame(rows, columns=["path", "label", "corpus"]).assign(split="train")
    assert recordings._is_kept_out(config, others).tolist() == [True, False, True, False]
    assert not recordings._is_kept_out(config, others.assign(split="test")).any()
    at_random = dataclasses.replace(config, split_rule="random")
    assert recordings._is_kept_out(at_random, others.assign(split="test")).tolist() == [True, False, True, False]


def test_folds_hold_each_speaker_and_each_other_word_out_once(many_words_dir, shards_dir):
    config = commands_config(many_words_dir, unknown=True, split_rule="folds", num_folds=3)
    corpora = [data.load_corpus(dataclasses.replace(config, fold=fold), shards_dir) for fold in range(3)]
    assert sorted(corpus.config.unseen_words for corpus in corpora) == [("rising",), ("trill",), ("warble",)]
    speakers = [set(corpus.manifest.loc[corpus.manifest["split"] == "test", "speaker"]) for corpus in corpora]
    assert sorted(speaker for fold in speakers for speaker in fold) == [f"speaker{number}" for number in range(8)]
    for corpus in corpora:
        assert (corpus.manifest.groupby("speaker")["split"].nunique() == 1).all()
        assert corpus.config.unseen_words[0] not in words_of(corpus.manifest[corpus.manifest["split"] != "test"])


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


def test_a_few_recordings_get_their_share_beside_synthetic_ones(tmp_path, shards_dir):
    pytest.importorskip("espeakng_loader", reason="needs the extra `speech`")
    own = write_words(tmp_path / "own" / "train", ("low", "high"), num_clips=2)
    config = dataclasses.replace(
        TINY, corpus="synthetic,folder", data_dir=f"{tmp_path / 'synthetic'},{own.parent}", words=("low", "high")
    )
    for share, count in ((0.5, 16), (0.2, 4), (0.0, 4)):
        table = data.load_corpus(dataclasses.replace(config, recorded_share=share), shards_dir).manifest
        recorded = table[table["corpus"] == "folder"]
        assert set(recorded["split"]) == {"train"}
        assert recorded["path"].value_counts().to_list() == [count // 4] * 4
        assert (table["corpus"] == "synthetic").sum() == 2 * TINY.clips_per_word
    prepared = data.prepare_split(data.load_corpus(config, shards_dir), "train")
    assert len(prepared.rows) == 16 + 16


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
        dataset = data.build_dataset(corpus, prepared, training=True, initial_step=epoch * steps)
        return [waveform for waveform, _ in dataset.take(2 * steps).as_numpy_iterator()]

    first = batches(0)
    np.testing.assert_array_equal(first, batches(0))
    np.testing.assert_array_equal(first[steps:], batches(1)[:steps])
    assert not np.array_equal(first[:steps], first[steps:])


def test_an_epoch_has_as_many_examples_as_one_asks_for(corpus_config, shards_dir):
    corpus = data.load_corpus(corpus_config, shards_dir)
    prepared = data.prepare_split(corpus, "train")
    config = dataclasses.replace(corpus.config, batch_size=4)
    assert data.steps_per_epoch(config, prepared) == len(prepared.rows) // 4
    assert data.steps_per_epoch(dataclasses.replace(config, epoch_examples=100), prepared) == 25


def test_mixed_clips_have_mixed_labels(corpus_config, shards_dir):
    config = dataclasses.replace(corpus_config, mix_probability=1.0)
    corpus = data.load_corpus(config, shards_dir)
    dataset = data.build_dataset(corpus, data.prepare_split(corpus, "train"), training=True)
    labels = np.concatenate([labels for _, labels in dataset.take(5).as_numpy_iterator()])
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert ((labels > 0.05) & (labels < 0.95)).any()


def test_teachers_give_their_share_of_every_label(corpus_config, shards_dir):
    config = dataclasses.replace(corpus_config, teacher_weight=0.6)
    corpus = data.load_corpus(config, shards_dir)
    prepared = data.prepare_split(corpus, "train")
    teachers = [build_model(dataclasses.replace(corpus.config, seed=seed)) for seed in (1, 2)]
    waveforms, labels = next(iter(data.build_dataset(corpus, prepared, training=True, teachers=teachers)))
    _, plain = next(iter(data.build_dataset(corpus, prepared, training=True)))
    answers = sum(teacher(waveforms, training=False).numpy() for teacher in teachers) / 2
    np.testing.assert_allclose(labels, 0.4 * plain.numpy() + 0.6 * answers, atol=1e-5)


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


@pytest.mark.parametrize("step", [0, 9])
def test_the_files_of_a_batch_are_those_it_was_read_from(corpus_config, shards_dir, step):
    corpus = data.load_corpus(dataclasses.replace(corpus_config, max_shift_ms=0, max_gain_db=0), shards_dir)
    prepared = data.prepare_split(corpus, "train")
    waveforms, _ = next(iter(data.build_dataset(corpus, prepared, training=True, initial_step=step)))
    files = data.batch_files(corpus, prepared, step)
    assert len(files) == len(waveforms) == 8
    for path, waveform in zip(files, waveforms.numpy(), strict=True):
        recorded, _ = soundfile.read(path, dtype="float32")
        np.testing.assert_allclose(waveform[: len(recorded)], recorded, atol=1e-4)

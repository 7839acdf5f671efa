import dataclasses
import shutil

import pandas as pd
import pytest
import soundfile

from benchmarks.example_corpora.whistles import PITCHES_HZ, RATE, write_words
from common.errors import UserError
from kws import data, recordings
from kws.config import COMMAND_WORDS, VARIANTS

TINY = VARIANTS["tiny"]


def test_every_class_of_a_folder_is_a_word(corpus_config, shards_dir):
    assert data.load_corpus(corpus_config, shards_dir).config.words == tuple(sorted(PITCHES_HZ))


def test_the_default_words_of_other_corpora_are_the_ten_commands(commands_config, shards_dir):
    config = dataclasses.replace(commands_config(), words=())
    with pytest.raises(UserError, match=f'no recordings of the word "{COMMAND_WORDS[0]}"'):
        data.load_corpus(config, shards_dir)


def test_speakers_stand_in_one_split_by_the_official_lists(commands_config, shards_dir):
    table = data.load_corpus(commands_config(), shards_dir).manifest
    assert set(table["label"]) == {"low", "high"}
    assert (table.groupby("speaker")["split"].nunique() == 1).all()
    assert set(table.loc[table["split"] == "test", "speaker"]) == {"speaker7"}


def test_twelve_label_operation_adds_unknown_and_silence_about_as_often_as_a_word(commands_config, shards_dir):
    corpus = data.load_corpus(commands_config(unknown=True, silence=True), shards_dir)
    assert corpus.config.labels == ("low", "high", "_silence_", "_unknown_")
    counts = corpus.manifest.groupby(["split", "label"]).size().unstack()
    assert (counts.loc["train"] == counts.loc["train", "low"]).all()
    silence = corpus.manifest[corpus.manifest["label"] == "_silence_"]
    assert silence["path"].str.contains("_background_noise_").all()
    assert (silence["duration"] == 1.0).all()
    assert (silence["start"] % 1 != 0).any()
    unknown = corpus.manifest[corpus.manifest["label"] == "_unknown_"]
    assert unknown["path"].str.contains("rising").all()


def test_excerpts_of_speech_fill_up_the_unknown_words_of_training(commands_config, shards_dir, tmp_path, rng):
    (tmp_path / "speech").mkdir()
    soundfile.write(tmp_path / "speech" / "talk.wav", rng.normal(0, 0.1, 60 * RATE), RATE)
    changes = {"unknown": True, "unknown_ratio": 2.0, "speech_dir": str(tmp_path / "speech")}
    table = data.load_corpus(commands_config(**changes), shards_dir).manifest
    unknown = table[table["label"] == "_unknown_"]
    cuts = unknown[unknown["path"].str.endswith("talk.wav")]
    a_keyword = (table["split"] == "train").sum() - (unknown["split"] == "train").sum()
    assert (unknown["split"] == "train").sum() == a_keyword / 2 * 2.0
    assert 0 < len(cuts) < (unknown["split"] == "train").sum()
    assert set(cuts["split"]) == {"train"}
    assert (cuts["duration"] == 1.5 * TINY.clip_seconds).all()


def test_silence_comes_from_its_own_folder_where_there_is_one(commands_config, commands_dir, shards_dir, rng):
    folder = commands_dir / "_silence_"
    folder.mkdir()
    for number in range(40):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.01, RATE), RATE)
    corpus = data.load_corpus(commands_config(silence=True), shards_dir)
    silence = corpus.manifest[corpus.manifest["label"] == "_silence_"]
    assert silence["path"].str.contains("_silence_").all()


@pytest.fixture
def many_words_config(commands_dir, commands_config):
    """`commands_config` of the miniature with three other words, each said by every speaker."""
    for word in ("warble", "trill"):
        shutil.copytree(commands_dir / "rising", commands_dir / word)
        with open(commands_dir / "testing_list.txt", "a") as listing:
            listing.writelines(f"{word}/{path.name}\n" for path in (commands_dir / word).glob("speaker7*"))
    return commands_config


def words_of(rows):
    return {path.split("/")[-2] for path in rows["path"]}


@pytest.mark.parametrize("split_rule", ["official", "random", "folds"])
def test_unseen_words_are_kept_out_of_training_and_validation(many_words_config, shards_dir, split_rule):
    config = many_words_config(unknown=True, unseen_words=("trill",), split_rule=split_rule)
    corpus = data.load_corpus(config, shards_dir)
    # The random split knows no speakers: its test split is kept free of them too.
    heard = corpus.manifest if split_rule == "random" else corpus.manifest[corpus.manifest["split"] != "test"]
    assert words_of(heard) == {"low", "high", "rising", "warble"}
    assert words_of(corpus.unseen) == {"trill"}
    assert len(corpus.unseen) == 24


def test_without_the_class_unknown_every_other_word_is_unseen(many_words_config, shards_dir):
    corpus = data.load_corpus(many_words_config(), shards_dir)
    assert words_of(corpus.unseen) == {"rising", "trill", "warble"}
    assert words_of(corpus.manifest) == {"low", "high"}


def test_unseen_words_are_not_heard_from_synthetic_voices_either():
    config = dataclasses.replace(TINY, words=("low",), unknown=True, unseen_words=("bed",))
    rows = [("a/bed/1.wav", "_unknown_", "synthetic"), ("a/cat/1.wav", "_unknown_", "synthetic")]
    rows += [("b/bed/1.wav", "bed", "folder"), ("b/cat/1.wav", "cat", "folder")]
    others = pd.DataFrame(rows, columns=["path", "label", "corpus"]).assign(split="train")
    assert recordings._is_excluded(config, others).tolist() == [True, False, True, False]
    assert not recordings._is_excluded(config, others.assign(split="test")).any()
    at_random = dataclasses.replace(config, split_rule="random")
    assert recordings._is_excluded(at_random, others.assign(split="test")).tolist() == [True, False, True, False]


def test_folds_hold_each_speaker_and_each_other_word_out_once(many_words_config, shards_dir):
    config = many_words_config(unknown=True, split_rule="folds", num_folds=3)
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
        table = data.load_corpus(dataclasses.replace(config, recorded_fraction=share), shards_dir).manifest
        recorded = table[table["corpus"] == "folder"]
        assert set(recorded["split"]) == {"train"}
        assert recorded["path"].value_counts().to_list() == [count // 4] * 4
        assert (table["corpus"] == "synthetic").sum() == 2 * TINY.clips_per_word
    split = data.prepare_split(data.load_corpus(config, shards_dir), "train")
    assert len(split.shards.rows) == 16 + 16


def test_folders_with_a_comma_and_decomposed_accents_are_read(tmp_path, shards_dir):
    write_words(tmp_path / "my, words", ("low", "high"), num_clips=3)
    (tmp_path / "my, words" / "low").rename(tmp_path / "my, words" / "adio\u0301s")
    config = dataclasses.replace(
        TINY, corpus="folder", data_dir=str(tmp_path / "my, words"), words=("adi\u00f3s", "high")
    )
    assert data.load_corpus(config, shards_dir).manifest["label"].value_counts().to_dict() == {
        "adi\u00f3s": 3,
        "high": 3,
    }


def test_a_classifier_of_one_class_is_refused(corpus_config, shards_dir):
    with pytest.raises(UserError, match='the only class is "low", expected at least two'):
        data.load_corpus(dataclasses.replace(corpus_config, words=("low",)), shards_dir)


def test_digits_are_words_where_they_are_named(tmp_path, shards_dir):
    write_words(tmp_path, ("low", "high"), num_clips=3)
    (tmp_path / "low").rename(tmp_path / "0")
    (tmp_path / "high").rename(tmp_path / "1")
    config = dataclasses.replace(TINY, corpus="folder", data_dir=str(tmp_path))
    with pytest.raises(UserError, match="look like speakers"):
        data.load_corpus(config, shards_dir)
    assert len(data.load_corpus(dataclasses.replace(config, words=("0", "1")), shards_dir).manifest) == 6


def test_noise_of_which_nothing_can_be_read_is_an_error(corpus_config, tmp_path, shards_dir):
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    for flag, others in (("noise_dir", {}), ("speech_dir", {"unknown": True, "words": ("low", "high")})):
        config = dataclasses.replace(corpus_config, **{flag: str(tmp_path)}, **others)
        with pytest.raises(UserError, match=f"{flag}: none of the 1 recordings"):
            data.load_corpus(config, shards_dir)

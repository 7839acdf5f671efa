"""Other words beside a folder of keywords: excerpts of speech, and synthetic words."""

import dataclasses
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from benchmarks.example_corpora.whistles import RATE, write_words
from common.corpora import noise
from common.errors import UserError
from kws import data, other_words
from kws.config import UNKNOWN, VARIANTS

CLIP_SECONDS = VARIANTS["tiny"].clip_seconds


def write_speech(folder, names, seconds, rng):
    folder.mkdir(exist_ok=True)
    for name in names:
        soundfile.write(folder / f"{name}.wav", rng.normal(0, 0.1, round(seconds * RATE)), RATE)
    return folder


def split_of(folder):
    table = other_words.split_speech(noise.recordings(folder, "--speech_dir"), str(folder), CLIP_SECONDS)
    return {(row.path, row.split): (row.start, row.duration) for row in table.itertuples()}


@pytest.fixture
def config(tmp_path, rng):
    """The configuration of a folder of two keywords and nothing else, beside a folder of speech."""
    words = write_words(tmp_path / "words", ("low", "high"), num_clips=24)
    speech = write_speech(tmp_path / "speech", range(20), 9, rng)
    changes = {
        "corpus": "folder",
        "data_dir": str(words),
        "unknown": True,
        "speech_dir": str(speech),
        "near_fraction": 0.0,
    }
    return dataclasses.replace(VARIANTS["tiny"], **changes)


def test_speech_alone_makes_the_other_words_of_every_split(config, shards_dir):
    table = data.load_corpus(config, shards_dir).manifest
    unknown = table[table["label"] == UNKNOWN]
    assert set(unknown["split"]) == {"train", "validation", "test"}
    assert (unknown.groupby("path")["split"].nunique() == 1).all()
    assert (unknown["duration"] == 1.5 * CLIP_SECONDS).all()
    counts = table.groupby("split")["label"].value_counts().unstack()
    keywords = counts[["high", "low"]].sum(axis=1)
    assert counts.loc["train", UNKNOWN] == keywords["train"]
    assert not unknown[unknown["split"] == "train"].duplicated(["path", "start"]).any()
    for split in ("validation", "test"):
        assert 0 < counts.loc[split, UNKNOWN] <= keywords[split]
    pd.testing.assert_frame_equal(table, data.load_corpus(config, shards_dir).manifest)


def test_the_rarer_side_is_repeated_to_the_ratio(config, shards_dir):
    once = data.load_corpus(config, shards_dir).manifest
    for ratio in (0.5, 8.0):
        table = data.load_corpus(dataclasses.replace(config, unknown_ratio=ratio), shards_dir).manifest
        training = table[table["split"] == "train"]
        assert (training["label"] == UNKNOWN).sum() == pytest.approx(
            ratio / 2 * (training["label"] != UNKNOWN).sum(), abs=1
        )
        assert set(training["path"]) == set(once.loc[once["split"] == "train", "path"])


def test_a_long_recording_is_divided_in_time_with_gaps(tmp_path, rng):
    folder = write_speech(tmp_path / "speech", ["hour"], 400, rng)
    places = {split: place for (_, split), place in split_of(folder).items()}
    assert set(places) == {"train", "validation", "test"}
    ends = {split: start + duration for split, (start, duration) in places.items()}
    gap = 1.5 * CLIP_SECONDS
    assert places["validation"][0] - ends["train"] == pytest.approx(gap)
    assert places["test"][0] - ends["validation"] == pytest.approx(gap)
    assert ends["test"] == pytest.approx(400)


def test_more_recordings_of_speech_move_no_other(tmp_path, rng):
    folder = write_speech(tmp_path / "speech", range(40), 0.5, rng)
    write_speech(folder, ["hour"], 310, rng)
    before = split_of(folder)
    write_speech(folder, range(40, 50), 0.5, rng)
    write_speech(folder, ["another hour"], 310, rng)
    after = split_of(folder)
    assert before == {key: after[key] for key in before}
    assert len(after) == len(before) + 10 + 3


def test_two_short_recordings_are_for_training(tmp_path, rng):
    folder = write_speech(tmp_path / "speech", range(2), 5, rng)
    assert {split for _, split in split_of(folder)} == {"train"}


def test_without_other_words_and_speech_unknown_is_refused(config, shards_dir):
    with pytest.raises(UserError, match="or give a folder of speech with speech_dir"):
        data.load_corpus(dataclasses.replace(config, speech_dir=""), shards_dir)


def test_another_corpus_is_evaluated_without_the_speech(config, shards_dir):
    config = dataclasses.replace(config, words=("high", "low"), speech_dir="gone")
    table = data.load_corpus(config, shards_dir, trained=True).manifest
    assert set(table["label"]) == {"high", "low"}
    assert len(table) == 2 * 24


def test_one_keyword_is_enough_beside_speech(config, shards_dir):
    shutil.rmtree(Path(config.data_dir) / "high")
    table = data.load_corpus(dataclasses.replace(config, words=("low",)), shards_dir).manifest
    assert set(table["label"]) == {"low", UNKNOWN}


def test_the_same_fraction_of_keywords_and_other_words_is_synthetic(config, shards_dir, tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader", reason="needs the extra `speech`")
    monkeypatch.chdir(tmp_path)
    table = data.load_corpus(dataclasses.replace(config, near_fraction=0.25), shards_dir).manifest
    is_near = table["corpus"] == other_words.NEAR
    assert set(table.loc[is_near, "split"]) == {"train"}
    training = table[table["split"] == "train"]
    for is_unknown in (True, False):
        rows = training[(training["label"] == UNKNOWN) == is_unknown]
        assert (rows["corpus"] == other_words.NEAR).mean() == pytest.approx(0.25, abs=0.01)
    assert set(table.loc[is_near, "label"]) == {"low", "high", UNKNOWN}
    assert np.all([path.startswith(str(tmp_path)) for path in table.loc[is_near, "path"]])


def test_a_language_that_espeak_does_not_speak_adds_nothing_and_says_so(config, shards_dir, caplog):
    pytest.importorskip("espeakng_loader", reason="needs the extra `speech`")
    with caplog.at_level(logging.INFO):
        table = data.load_corpus(dataclasses.replace(config, near_fraction=0.25, language="xx"), shards_dir).manifest
    assert "no synthetic words like the keywords are added: espeak-ng does not support" in caplog.text
    assert other_words.NEAR not in set(table["corpus"])

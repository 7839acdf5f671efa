"""Speech Commands in both of its layouts."""

import numpy as np
import pytest

from common import audio
from common.corpora import speech_commands
from common.errors import UserError


def _corpus(root, names, lists=True):
    for name in names:
        audio.write(root / name, np.full(160, 0.1), 16000)
    if lists:
        (root / "validation_list.txt").write_text("yes/b_nohash_0.wav\n")
        (root / "testing_list.txt").write_text("no/c_nohash_1.wav\n\n")
    return root


WORDS = ["yes/a_nohash_0.wav", "yes/b_nohash_0.wav", "no/a_nohash_0.wav", "no/c_nohash_1.wav"]


def _splits(table) -> dict[str, str]:
    return {f"{row.label}/{row.path.rpartition('/')[2]}": row.split for row in table.itertuples()}


def test_the_lists_decide_the_split_and_the_name_tells_the_speaker(tmp_path):
    table = speech_commands.index(_corpus(tmp_path, WORDS))
    assert _splits(table) == dict(zip(WORDS, ["train", "validation", "train", "test"], strict=True))
    assert set(table["speaker"]) == {"a", "b", "c"}
    assert table["duration"].isna().all() and (table["start"] == 0).all()


def test_silence_follows_the_lists_where_they_name_it_and_else_the_hash(tmp_path):
    silence = [f"_silence_/{number}.wav" for number in range(60)]
    _corpus(tmp_path, WORDS + silence)
    splits = {name: split for name, split in _splits(speech_commands.index(tmp_path)).items() if "_silence_" in name}
    assert set(splits.values()) == {"train", "validation", "test"}
    with (tmp_path / "testing_list.txt").open("a") as file:
        file.write("_silence_/3.wav\n")
    splits = {name: split for name, split in _splits(speech_commands.index(tmp_path)).items() if "_silence_" in name}
    assert {name for name, split in splits.items() if split == "test"} == {"_silence_/3.wav"}
    assert list(splits.values()).count("train") == 59


def test_noise_is_divided_in_time(tmp_path):
    _corpus(tmp_path, [*WORDS, "_background_noise_/short.wav"])
    audio.write(tmp_path / "_background_noise_" / "long.wav", np.zeros(20 * 8000), 8000)
    (tmp_path / "_background_noise_" / "damaged.wav").write_text("no audio")
    (tmp_path / "_background_noise_" / "README.md").write_text("about the noise")
    table = speech_commands.index(tmp_path)
    noise = table[table["label"] == "_background_noise_"]
    long = noise[noise["path"].str.endswith("long.wav")]
    assert long["split"].tolist() == ["train", "validation", "test"]
    np.testing.assert_allclose(long["start"], [0, 16, 18])
    np.testing.assert_allclose(long["duration"], [16, 2, 2])
    assert noise[~noise["path"].str.endswith("long.wav")]["duration"].isna().all() and len(noise) == 5


def test_the_official_test_set_is_all_test(tmp_path):
    names = ["yes/a_nohash_0.wav", "_silence_/1.wav", "_unknown_/bed_b_nohash_0.wav"]
    table = speech_commands.index(_corpus(tmp_path, names, lists=False))
    assert set(table["split"]) == {"test"} and set(table["label"]) == {"yes", "_silence_", "_unknown_"}


def test_a_part_without_lists_is_split_by_speaker(tmp_path):
    names = [f"{word}/{speaker:04x}_nohash_0.wav" for word in ("yes", "no") for speaker in range(200)]
    table = speech_commands.index(_corpus(tmp_path, names, lists=False))
    assert table.groupby("speaker")["split"].nunique().max() == 1
    assert 0.7 < (table["split"] == "train").mean() < 0.9
    assert set(table["split"]) == {"train", "validation", "test"}


def test_one_list_without_the_other_is_told(tmp_path):
    _corpus(tmp_path, WORDS, lists=False)
    (tmp_path / "testing_list.txt").write_text("")
    with pytest.raises(UserError, match="lacks validation_list.txt, so"):
        speech_commands.index(tmp_path)


def test_what_is_not_the_corpus_is_told(tmp_path):
    with pytest.raises(UserError, match="missing is not a folder; expected Speech Commands"):
        speech_commands.index(tmp_path / "missing")
    with pytest.raises(UserError, match="no recordings in"):
        speech_commands.index(tmp_path)
    _corpus(tmp_path, ["yes/1.wav", "no/1.wav"], lists=False)
    with pytest.raises(UserError, match="lacks validation_list.txt and testing_list.txt.*corpus=folder"):
        speech_commands.index(tmp_path)


def test_the_real_corpus_has_its_speakers_apart(real_data):
    table = speech_commands.index(real_data / "speech_commands")
    assert table["split"].value_counts().to_dict() == {"train": 2058, "test": 473, "validation": 467}
    assert table["label"].nunique() == 36 and table[table["speaker"] != ""]["speaker"].nunique() == 182
    assert table[table["speaker"] != ""].groupby("speaker")["split"].nunique().max() == 1

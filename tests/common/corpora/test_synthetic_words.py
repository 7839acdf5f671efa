"""The corpus of synthetic speech."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from common.corpora import manifest, synthetic_words
from common.errors import UserError
from common.synthesis.speech import espeak
from tests.errors import refused

SPLIT_SIZES = {"train": 16, "validation": 2, "test": 2}


@pytest.fixture(scope="module", autouse=True)
def wheel():
    pytest.importorskip("espeakng_loader", reason="needs the extra `speech`")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("synthetic")
    return synthetic_words.index(root, ("yes", "no"), "en", 20, unknown=True, silence=True)


def test_the_manifest_lists_every_class_in_every_split(corpus):
    assert tuple(corpus.columns) == manifest.COLUMNS
    assert set(corpus["label"]) == {"yes", "no", "_unknown_", "_silence_"}
    for _, rows in corpus.groupby("label"):
        assert rows["split"].value_counts().to_dict() == SPLIT_SIZES
    assert corpus["path"].is_unique
    assert all(Path(path).is_absolute() for path in corpus["path"])


def test_no_variant_is_heard_in_two_splits(corpus):
    spoken = corpus[corpus["label"] != "_silence_"]
    variants = spoken["speaker"].str.split("+").str[1]
    assert (spoken["split"].groupby(variants).nunique() == 1).all()
    assert (spoken["split"].groupby(spoken["speaker"]).nunique() == 1).all()


def test_the_variants_are_there_and_listed_once():
    listed = [name for sexes in synthetic_words.VARIANTS.values() for names in sexes.values() for name in names.split()]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(espeak.variants())


def test_sex_follows_the_variant(corpus):
    for _, row in corpus.iterrows():
        if row["label"] == "_silence_":
            assert row["speaker"] == row["sex"] == ""
        else:
            assert row["speaker"].split("+")[1] in synthetic_words.VARIANTS[row["split"]][row["sex"]].split()


def test_unknown_words_differ_between_splits_and_from_the_keywords(corpus):
    unknown = corpus[corpus["label"] == "_unknown_"]
    spoken = unknown["path"].map(lambda path: Path(path).parent.name)
    assert (unknown["split"].groupby(spoken).nunique() == 1).all()
    assert not set(spoken) & {"yes", "no"}


def test_clips_are_16_khz_mono_and_all_different(corpus):
    contents = set()
    for path in corpus["path"]:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert 1.0 <= info.duration < 1.6
        contents.add(Path(path).read_bytes())
    assert len(contents) == len(corpus)


def test_words_stand_above_their_background_and_vary_in_level_and_place(corpus):
    levels_db, centres = [], []
    for path in corpus["path"][corpus["label"].isin(["yes", "no"])]:
        waveform, _ = soundfile.read(path)
        power = np.square(waveform[: len(waveform) // 160 * 160]).reshape(-1, 160).mean(axis=1)
        assert 10 * np.log10(power.max() / np.percentile(power, 5)) > 10
        assert 0 < np.abs(waveform).max() < 1
        levels_db.append(10 * np.log10(power.max()))
        centres.append(np.argmax(power) / len(power))
    assert np.std(levels_db) > 3
    assert np.std(centres) > 0.08


def test_a_second_call_makes_nothing_and_an_interrupted_one_goes_on(corpus):
    root = Path(corpus["path"][0]).parents[2]
    lost = Path(corpus["path"][5])
    lost.unlink()
    times = {path: Path(path).stat().st_mtime_ns for path in corpus["path"] if Path(path) != lost}
    again = synthetic_words.index(root, ("yes", "no"), "en", 20, unknown=True, silence=True)
    assert again.equals(corpus)
    assert lost.exists()
    assert times == {path: Path(path).stat().st_mtime_ns for path in times}


def test_more_clips_and_words_add_to_what_is_there(tmp_path):
    first = synthetic_words.index(tmp_path, ("yes",), num_clips_per_word=10)
    synthetic_words.index(tmp_path, ("no",), num_clips_per_word=3)
    description = json.loads((Path(first["path"][0]).parents[1] / "synthetic.json").read_text(encoding="utf-8"))
    assert description["words"] == {"no": "no", "yes": "yes"}
    second = synthetic_words.index(tmp_path, ("yes", "no"), num_clips_per_word=20)
    kept = second.merge(first, on="path", suffixes=("", "_before"))
    assert len(kept) == len(first)
    assert (kept["split"] == kept["split_before"]).all()


def test_languages_lie_apart(tmp_path):
    folders = [
        Path(synthetic_words.index(tmp_path, ("no",), language, 3)["path"][0]).parents[1] for language in ("en", "es")
    ]
    assert len(set(folders)) == 2
    contents = [{path.read_bytes() for path in folder.glob("*/*.wav")} for folder in folders]
    assert not contents[0] & contents[1]


@pytest.mark.slow
def test_a_fresh_process_makes_the_same_corpus(tmp_path):
    for name in ("a", "b"):
        command = (
            "from common.corpora import synthetic_words;"
            f"synthetic_words.index({str(tmp_path / name)!r}, ('up', 'go'), num_clips_per_word=5)"
        )
        subprocess.run([sys.executable, "-c", command], check=True)
    clips = [{p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.wav")} for n in ("a", "b")]
    assert len(clips[0]) == 10
    assert clips[0] == clips[1]


def test_labels_are_exact_where_folder_names_cannot_be(tmp_path):
    words = ("adiós", "adios", "Hola", "buenos días", "niño")
    table = synthetic_words.index(tmp_path, words, "es", 3, unknown=True)
    assert set(table["label"]) == {*words, "_unknown_"}
    by_label = {label: Path(rows["path"].iloc[0]).parent for label, rows in table.groupby("label")}
    assert len(set(by_label.values())) == 6
    assert all(folder.name.isascii() and " " not in folder.name for folder in by_label.values())
    described = json.loads((by_label["niño"].parent / "synthetic.json").read_text(encoding="utf-8"))
    assert described["words"][by_label["niño"].name] == "niño"
    assert (described["language"], described["seed"]) == ("es", 0)


def test_another_script_is_spoken_by_its_own_language(tmp_path):
    table = synthetic_words.index(tmp_path, ("да", "нет"), "ru", 3)
    assert sorted(set(table["label"])) == ["да", "нет"]
    with pytest.raises(UserError, match='cannot speak "нет"'):
        synthetic_words.index(tmp_path, ("нет",), "en", 3)


def test_long_phrases_get_longer_clips(tmp_path):
    phrase = "hey computer turn on the kitchen light"
    clip = synthetic_words._draw_clip(tmp_path, ["en-us"], [], "test", (phrase, phrase, 0))
    waveform = synthetic_words.make_clip(clip)
    assert len(waveform) > 1.2 * 16000


def test_unknown_words_are_near_and_far_and_sound_like_no_keyword():
    near, far = synthetic_words._unknown_words(["uno", "dos"], "es", ["es", "es-419"])
    spoken = [word for split in far.values() for word in split]
    assert "1" not in spoken
    assert "2" not in spoken
    assert "3" in spoken
    assert len(spoken) == len(set(spoken)) == 59
    assert sum(len(words) for words in near.values()) > 50
    assert all(near["train"]) and all(near["test"])
    assert not set(near["train"]) & {*near["test"], *near["validation"]}


def test_near_words_are_among_the_unknown_and_described(corpus):
    unknown = corpus[corpus["label"] == "_unknown_"]
    folder = Path(unknown["path"].iloc[0]).parents[1]
    described = json.loads((folder / "synthetic.json").read_text(encoding="utf-8"))["words"]
    near = unknown["path"].map(lambda path: described[Path(path).parent.name].startswith("[["))
    assert near.groupby(unknown["split"]).mean().to_dict() == {"test": 0.5, "train": 0.5, "validation": 0.5}


def test_emphasis_changes_the_sound(tmp_path, monkeypatch):
    clip = synthetic_words._draw_clip(tmp_path, ["en-us"], [], "train", ("go", "go", 0))
    monkeypatch.setattr(espeak, "EMPHASES", ("",))
    plain = synthetic_words.make_clip(clip)
    monkeypatch.setattr(espeak, "EMPHASES", ("strong",))
    assert not np.array_equal(plain, synthetic_words.make_clip(clip))


def test_most_of_the_clips_have_another_pronunciation_and_a_file_of_their_own(tmp_path):
    ways = ["[[n'@U]]", "[[n'3:U]]"]
    clips = [
        synthetic_words._draw_clip(tmp_path, ["en-us"], ways, "train", ("no", "no", number)) for number in range(200)
    ]
    others = [clip for clip in clips if clip.spoken != "no"]
    assert 90 < len(others) < 150
    assert {clip.spoken for clip in others} == set(ways)
    plain = [
        synthetic_words._draw_clip(tmp_path, ["en-us"], [], "train", ("no", "no", number)) for number in range(200)
    ]
    assert [clip.path == other.path for clip, other in zip(clips, plain, strict=True)] == [
        clip.spoken == "no" for clip in clips
    ]


@pytest.mark.slow
def test_many_clips_are_shared_between_processes_and_the_same_every_time(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic_words, "_MANY_CLIPS", 8)
    contents = []
    for name in ("a", "b"):
        table = synthetic_words.index(tmp_path / name, ("up", "go"), num_clips_per_word=5)
        contents.append([Path(path).read_bytes() for path in table["path"]])
    assert len(set(contents[0])) == 10
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("words", "settings", "message"),
    [
        ((), {}, "needs words"),
        (("yes", "Yes"), {}, "listed twice"),
        (("yes", "_silence_"), {}, "adds automatically"),
        (("...",), {}, "cannot speak"),
        (("",), {}, "cannot speak"),
        (("yes",), {"num_clips_per_word": 2}, "at least 3"),
        (("yes",), {"language": "englisch"}, "does not support"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(tmp_path, words, settings, message):
    with refused(message) as caught:
        synthetic_words.index(tmp_path, words, **settings)
    assert "\n" not in caught.value.command_line
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="is a file; expected a folder"):
        synthetic_words.index(tmp_path / "file", ("yes",), num_clips_per_word=3)


def test_abbreviations_and_words_that_sound_alike_are_made_with_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        table = synthetic_words.index(tmp_path, ("tv", "right", "write"), num_clips_per_word=3)
    assert len(table) == 9
    assert "letter by letter" in caplog.text
    assert "sound the same" in caplog.text

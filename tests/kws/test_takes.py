from pathlib import Path

import numpy as np
import pytest
import soundfile

from common import audio
from common.corpora import folder as folder_corpus
from common.corpora.speech_commands import BACKGROUND_NOISE, speaker_of
from kws import takes
from tests.errors import refused

RATE = takes.SAMPLE_RATE


def word(rng, seconds=0.5, gain=0.2):
    return (gain * np.sin(np.cumsum(rng.uniform(0.1, 0.3, round(seconds * RATE))))).astype(np.float32)


def heard(rng, *, start=0.8, seconds=0.5, gain=0.2, noise=0.001):
    """Two seconds of noise with a word."""
    waveform = rng.normal(0, noise, 2 * RATE).astype(np.float32)
    first = round(start * RATE)
    room = waveform[max(0, first) : first + round(seconds * RATE)]
    room += word(rng, seconds, gain)[: len(room)]
    return waveform


def test_a_good_recording_is_taken_with_the_pause_around_the_word(rng):
    waveform = heard(rng)
    take = takes.judge(waveform)
    assert take.problem == ""
    assert take.level_db == pytest.approx(-17, abs=1) and take.snr_db == pytest.approx(43, abs=2)
    assert len(take.word) == pytest.approx(RATE, abs=800)
    first = int(np.flatnonzero(np.convolve(waveform, take.word[::-1], "valid") > 0.99 * (take.word**2).sum())[0])
    np.testing.assert_array_equal(waveform[first : first + len(take.word)], take.word)
    assert first < 0.6 * RATE and first + len(take.word) > 1.4 * RATE


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"gain": 0.0}, "nothing heard"),
        ({"gain": 0.004}, "too quiet, "),
        ({"gain": 0.003, "noise": 0.00001}, "too quiet, "),
        ({"start": -0.1}, "cut off at the start"),
        ({"start": 0.0}, "cut off at the start"),
        ({"start": 1.7}, "cut off at the end"),
        ({"gain": 0.0, "noise": 0.0}, "silence: check that the microphone"),
    ],
)
def test_what_is_wrong_is_said(changes, problem, rng):
    assert takes.judge(heard(rng, **changes)).problem.startswith(problem)


def test_a_clipped_recording(rng):
    take = takes.judge(np.clip(heard(rng, gain=1.5), -1, 1))
    assert take.problem.startswith("too loud, the recording is clipped") and take.level_db == 0
    assert takes.judge(heard(rng, gain=0.9)).problem == ""


def test_recordings_are_numbered_after_those_that_are_there(tmp_path, rng):
    anna, ben = (takes.Folder(tmp_path / "words", name) for name in ("anna", "ben"))
    assert anna.add("on", word(rng)) == tmp_path / "words" / "on" / "anna_nohash_0.wav"
    (tmp_path / "words" / "on" / "anna_nohash_7.flac").touch()
    (tmp_path / "words" / "on" / "anna_nohash_9.txt").touch()
    (tmp_path / "words" / "on" / "anna_nohash_x.wav").touch()
    assert anna.add("on", word(rng)).name == "anna_nohash_8.wav"
    assert ben.add("on", word(rng)).name == "ben_nohash_0.wav"
    assert anna.numbers("on") == [0, 7, 8] and ben.numbers("on") == [0] and anna.numbers("off") == []


def test_files_are_as_training_reads_them(tmp_path, rng):
    waveform = word(rng)
    path = takes.Folder(tmp_path, "anna").add("on", waveform)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype, info.format) == (16000, 1, "PCM_16", "WAV")
    np.testing.assert_allclose(audio.read(path)[0], waveform, atol=1e-4)
    assert speaker_of(path) == "anna"
    assert (folder_corpus.TABLE, BACKGROUND_NOISE) == (takes.TABLE, takes.BACKGROUND_NOISE)


def test_what_is_in_the_way_is_not_overwritten(tmp_path, rng):
    path = tmp_path / "on" / "anna_nohash_0.wav"
    path.parent.mkdir()
    path.symlink_to(tmp_path / "gone.wav")
    other = takes.Folder(tmp_path, "anna")
    other.numbers = lambda word: []
    with refused("anna_nohash_0.wav is in the way"):
        other.add("on", word(rng))
    assert path.is_symlink() and not path.exists()


def test_a_recording_is_known_again(tmp_path, rng):
    folder = takes.Folder(tmp_path, "anna")
    waveform, other = word(rng), word(rng)
    assert not folder.has("on", waveform)
    folder.add("on", 3 * waveform)
    folder.add("on", other)
    (tmp_path / "on" / "anna_nohash_5.wav").write_bytes(b"damaged")
    assert folder.has("on", 3 * waveform) and folder.has("on", other)
    assert not folder.has("off", waveform) and not folder.has("on", waveform[:-1])
    assert not takes.Folder(tmp_path, "ben").has("on", other)


def test_what_training_lacks(tmp_path, rng):
    folder = takes.Folder(tmp_path, "anna")
    assert folder.lacks() == "another word"
    for _ in range(3):
        folder.add("on", word(rng))
    (tmp_path / BACKGROUND_NOISE).mkdir()
    (tmp_path / BACKGROUND_NOISE / "hum.wav").touch()
    assert folder.lacks() == "another word"
    takes.Folder(tmp_path, "ben").add("off", word(rng))
    assert folder.lacks() == "more of off"
    for _ in range(2):
        folder.add("off", word(rng))
    assert folder.lacks() == ""
    assert folder.words_to_name() == []


def test_words_that_look_like_something_else_are_named(tmp_path, rng):
    folder = takes.Folder(tmp_path, "anna")
    for name in ("2", "1"):
        folder.add(name, word(rng))
    assert folder.words_to_name() == ["1", "2"]


@pytest.mark.parametrize("speaker", ["", "a/b", ".a", "a_nohash_b", "a_nohash", "a\nb", "a" * 201, "\udcff"])
def test_speakers_that_cannot_be(speaker, tmp_path):
    with refused("^--speaker: "):
        takes.Folder(tmp_path, speaker)


@pytest.mark.parametrize("speaker", ["anna", "Zoë", "nohash_", "anna_2", "a b"])
def test_speakers_that_can(speaker, tmp_path, rng):
    assert speaker_of(takes.Folder(tmp_path, speaker).add("on", word(rng))) == speaker


@pytest.mark.parametrize(
    "words", [(), ("",), ("a/b",), ("..",), ("a", "a"), ("Test",), ("_silence_",), (BACKGROUND_NOISE,), ("a\tb",)]
)
def test_words_that_cannot_be(words):
    with refused("^--words: "):
        takes.check_words(words)


def test_folders_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with refused("^--output_dir: .*file is a file"):
        takes.Folder(tmp_path / "file", "anna")
    (tmp_path / "splits" / "train" / "on").mkdir(parents=True)
    with refused("give one of them as --output_dir, such as .*splits/train$"):
        takes.Folder(tmp_path / "splits", "anna")
    takes.Folder(tmp_path / "splits" / "train", "anna").check("on")
    (tmp_path / "table").mkdir()
    Path(tmp_path / "table" / takes.TABLE).touch()
    with refused("training would not use new recordings"):
        takes.Folder(tmp_path / "table", "anna")
    with refused("file is a file"):
        takes.Folder(tmp_path, "anna").check("file")

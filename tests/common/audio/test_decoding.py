"""Recordings as people have them: what was constructed comes out, or a line says what is missing."""

import functools
import io
import logging

import numpy as np
import pytest

from benchmarks import damaged_recordings
from benchmarks.damaged_recordings import FORMATS
from common import audio
from common.audio import blocks as audio_blocks
from common.audio import decoding
from common.errors import UserError
from tests.pipes import Pipe

NAMES = [recording.name for recording in FORMATS]
DAMAGES = ["whole", "truncated", "joined", "zeros behind", "zeros in front", "ID3 tag in front", "ID3 tag behind"]
LENGTHS = ["length: zero", "length: all bits", "length: half", "length: twice"]
RATE = 16000


@functools.cache
def cases(name: str) -> dict:
    recording = next(recording for recording in FORMATS if recording.name == name)
    if recording.needs_ffmpeg:
        pytest.importorskip("av", reason="needs the extra ffmpeg")
    return damaged_recordings.damage(recording)


@pytest.fixture(autouse=True)
def said_anew(monkeypatch):
    monkeypatch.setattr(decoding, "_said", set())


@pytest.mark.parametrize(
    ("name", "damage"),
    [(item.name, damage) for item in FORMATS for damage in DAMAGES + (LENGTHS if item.length else [])],
)
def test_every_sample_that_was_constructed_is_read(tmp_path, caplog, name, damage):
    case = cases(name)[damage]
    # The name is another format's: what is in a file decides.
    path = tmp_path / "renamed.wav"
    path.write_bytes(case.content)
    if case.seconds is None:
        with pytest.raises(UserError, match="cannot be read|not readable"):
            audio.read(path)
        return
    waveform, rate = audio.read(path)
    assert abs(len(waveform) / rate - case.seconds) <= case.tolerance
    assert abs(audio.info(path).duration_seconds - len(waveform) / rate) < 0.01
    if case.is_said:
        assert "renamed.wav" in caplog.text
    piped, _ = audio.read(io.BufferedReader(Pipe(case.content)))
    np.testing.assert_array_equal(piped, waveform)
    blocks = np.concatenate(list(audio_blocks.blocks(path, rate, 0.7)))
    np.testing.assert_allclose(blocks, waveform, atol=1e-6)
    # From the middle on, which in joined recordings is where the second one begins.
    start = len(waveform) // 2 + 100
    excerpt, _ = audio.read(path, start=start / rate, duration=0.25)
    np.testing.assert_allclose(excerpt, waveform[start : start + round(0.25 * rate)], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_recording_is_read_without_a_word(tmp_path, caplog, name):
    (tmp_path / "a").write_bytes(cases(name)["whole"].content)
    audio.read(tmp_path / "a")
    assert not caplog.text


def test_samples_up_to_damage_are_read(tmp_path, caplog):
    content = bytearray(cases("FLAC")["whole"].content)
    at = len(content) * 2 // 3
    content[at : at + 20000] = bytes(20000)
    (tmp_path / "a.flac").write_bytes(content)
    waveform, rate = audio.read(tmp_path / "a.flac")
    assert 2 < len(waveform) / rate < damaged_recordings.SECONDS - 0.5
    np.testing.assert_allclose(waveform, damaged_recordings.sound(rate)[: len(waveform)], atol=1e-4)
    assert "damaged after" in caplog.text


def test_joined_recordings_of_other_rates_and_channels_follow_the_first(tmp_path):
    first, second = io.BytesIO(), io.BytesIO()
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    decoding.soundfile.write(first, tone, RATE, format="WAV")
    slow = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / (RATE // 2))
    decoding.soundfile.write(second, np.stack([slow, slow], axis=1), RATE // 2, format="FLAC")
    (tmp_path / "a.wav").write_bytes(first.getvalue() + second.getvalue())
    waveform, rate = audio.read(tmp_path / "a.wav", mono=False)
    assert rate == RATE and waveform.shape == (2 * RATE, 1)
    np.testing.assert_allclose(waveform[RATE + 2000 : -2000, 0], tone[2000:-2000], atol=0.01)
    excerpt, _ = audio.read(tmp_path / "a.wav", start=1.25, duration=0.5, mono=False)
    np.testing.assert_allclose(excerpt, waveform[20000:28000], atol=1e-6)


def test_a_recording_is_spoken_of_once(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    (tmp_path / "a.wav").write_bytes(cases("WAV 16")["truncated"].content)
    for _ in range(3):
        audio.read(tmp_path / "a.wav")
    assert len(caplog.records) == 1 and "3.60 of the 6.00 s" in caplog.text


def test_a_file_that_changes_is_looked_at_again(tmp_path):
    path = tmp_path / "a.mp3"
    for name in ("MP3 CBR", "MP3 VBR"):
        path.write_bytes(cases(name)["joined"].content)
        waveform, rate = audio.read(path)
        assert abs(len(waveform) / rate - 12) < 0.1


@pytest.mark.parametrize("content", [bytes(3000), b"ID3\x03\x00\x00\x00\x00\x00\x10" + bytes(100), b"\xff" * 5000])
def test_what_holds_no_sound_is_refused(tmp_path, content):
    (tmp_path / "a.mp3").write_bytes(content)
    with pytest.raises(UserError, match="is not readable audio") as error:
        audio.read(tmp_path / "a.mp3")
    assert "delete" not in error.value.command_line

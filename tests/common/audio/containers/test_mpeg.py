"""Frames of MP3 are counted where nothing says how many there are."""

import io

import numpy as np
import pytest
import soundfile

from common import audio
from common.audio.containers import examine, mpeg
from common.audio.containers.content import Content


def encoded(rate: int = 22050, num_channels: int = 1, mode: str = "VARIABLE", seconds: float = 3.0) -> bytes:
    noise = np.random.default_rng(0).normal(0, 0.2, (round(seconds * rate), num_channels))
    noise[rate // 2 :] *= 0.02
    file = io.BytesIO()
    soundfile.write(file, noise, rate, format="MP3", bitrate_mode=mode, compression_level=0.2)
    return file.getvalue()


def without_front(content: bytes) -> bytes:
    """Leave out the frame that says how many there are, as a program that writes into a pipe does."""
    first = content.index(b"\xff")
    return content[first + mpeg._header(content[first : first + 4]).size :]


def seconds_of(content: bytes) -> float:
    waveform, rate = audio.read(io.BytesIO(content))
    assert audio.info(io.BytesIO(content)).num_samples == len(waveform)
    return len(waveform) / rate


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000])
@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_a_stream_from_a_pipe_is_read_whole(rate, num_channels, mode):
    content = encoded(rate, num_channels, mode)
    assert abs(seconds_of(content) - 3) < 0.01
    # Nothing says any more what the encoder filled up: two frames or three.
    assert 0 <= seconds_of(without_front(content)) - 3 < 4 * 1152 / rate


def test_whole_files_are_left_as_they_are():
    content = encoded()
    (part,) = examine(io.BytesIO(content))
    assert part.is_file(len(content))


@pytest.mark.parametrize(
    "between", [bytes(3000), b"ID3\x03\x00\x00\x00\x00\x07\x76" + bytes(1014), b"lost" * 500, b"\xff\xfb"]
)
def test_bytes_between_frames_are_passed_over(between):
    content = without_front(encoded())
    whole = seconds_of(content)
    position = 0
    for _ in range(40):
        position += mpeg._header(content[position : position + 4]).size
    assert abs(seconds_of(content[:position] + between + content[position:]) - whole) < 0.06


def test_a_file_that_was_cut_keeps_the_encoders_delay_away():
    content = encoded()
    whole, _ = audio.read(io.BytesIO(content))
    cut, _ = audio.read(io.BytesIO(content[: len(content) * 2 // 3]))
    assert len(cut) > len(whole) // 3
    np.testing.assert_allclose(cut[:-2000], whole[: len(cut) - 2000], atol=1e-4)


def test_other_files_are_no_mp3():
    noise = np.random.default_rng(0).integers(0, 256, 300_000).astype(np.uint8).tobytes()
    for content in (noise, bytes(1000), b"\xff" * 3000, b"", b"\xff\xfb"):
        assert mpeg.part(Content(io.BytesIO(content)), 0) is None


def test_streams_of_other_channels_follow_each_other():
    parts = [without_front(encoded(num_channels=channels)) for channels in (1, 2, 1)]
    assert abs(seconds_of(b"".join(parts)) - sum(map(seconds_of, parts))) < 0.01


@pytest.mark.parametrize("stated", [1, 50])
def test_a_front_that_states_too_few_frames_is_not_believed(stated):
    content = bytearray(encoded())
    at = (content.find(b"Xing") if b"Xing" in content else content.find(b"Info")) + 8
    content[at : at + 4] = stated.to_bytes(4, "big")
    assert abs(seconds_of(bytes(content)) - 3) < 0.1


def test_a_recording_of_another_format_may_follow():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(22050), 22050, format="WAV")
    assert abs(seconds_of(encoded() + file.getvalue()) - 4) < 0.1
    assert abs(seconds_of(file.getvalue() + without_front(encoded())) - 4) < 0.1

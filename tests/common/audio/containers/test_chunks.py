"""Sizes of chunks that cannot be believed, and those that can."""

import io
import struct

import numpy as np
import pytest
import soundfile

from common import audio
from common.audio import decoding
from common.audio.containers import examine
from common.errors import UserError

RATE = 8000
SAMPLES = np.round(np.random.default_rng(0).normal(0, 3000, RATE)).astype(np.int16)


@pytest.fixture(autouse=True)
def said_anew(monkeypatch):
    monkeypatch.setattr(decoding, "_said", set())


def encoded(kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, SAMPLES, RATE, format=kind, subtype=subtype)
    return file.getvalue()


def read(content: bytes) -> np.ndarray:
    return np.round(audio.read(io.BytesIO(content))[0] * 2**15).astype(np.int16)


def test_chunks_behind_the_samples_are_no_samples():
    listed = b"LIST" + struct.pack("<I", 27) + b"INFOICMT" + struct.pack("<I", 15) + b"by hand, indoors"
    for tail in (listed, listed + b"id3 " + bytes(4), b"\0" + listed):
        content = encoded()
        if tail[:1] == b"\0":  # an odd number of samples' bytes, and the byte that fills them up
            content = encoded(subtype="PCM_U8")
            at = content.index(b"data")
            content = content[: at + 4] + struct.pack("<I", RATE - 1) + content[at + 8 : -1]
        found = audio.read(io.BytesIO(content + tail))[0]
        assert len(found) == RATE - (tail[:1] == b"\0")


def test_samples_behind_a_size_that_is_too_small_are_read():
    content = bytearray(encoded())
    at = content.index(b"data") + 4
    for size in (0, 2, RATE, 2 * RATE - 2):
        content[at : at + 4] = struct.pack("<I", size)
        np.testing.assert_array_equal(read(bytes(content)), SAMPLES)


def test_a_recording_without_samples_stays_empty():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(0), RATE, format="WAV")
    listed = b"LIST" + struct.pack("<I", 4) + b"INFO"
    for content in (file.getvalue(), file.getvalue() + listed):
        with pytest.raises(UserError, match="has no samples"):
            audio.read(io.BytesIO(content))


@pytest.mark.slow
def test_a_wav_of_more_than_4_gb_is_read_to_its_end(tmp_path):
    path = tmp_path / "long.wav"
    num_bytes = 5 * 2**30
    header = bytearray(encoded()[:44])
    header[40:44] = struct.pack("<I", num_bytes % 2**32)
    with path.open("wb") as file:  # sparse: it takes no room
        file.write(header)
        file.truncate(44 + num_bytes)
        file.seek(44 + num_bytes - 2 * RATE)
        file.write(SAMPLES.tobytes())
    assert audio.info(path).num_samples == num_bytes // 2
    found, _ = audio.read(path, start=(num_bytes // 2 - RATE) / RATE)
    np.testing.assert_array_equal(np.round(found * 2**15).astype(np.int16), SAMPLES)


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64", "AIFF", "AU", "CAF"])
def test_sound_files_are_left_as_they_are(kind):
    content = encoded(kind)
    (part,) = examine(io.BytesIO(content))
    assert part.is_file(len(content)) and not part.stated_samples


@pytest.mark.parametrize("kind", ["WAV", "W64", "AIFF", "AU", "CAF"])
def test_what_breaks_off_anywhere_is_read_or_refused(kind):
    lengths = []
    for cut in range(1, 200):
        try:
            lengths.append(len(audio.read(io.BytesIO(encoded(kind)[:cut]))[0]))
        except UserError:
            assert not lengths
    assert lengths == sorted(lengths)


def listed(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


JUNK = {
    "iXML cut off": listed(b"iXML", b"<x>" * 1000, 6000),
    "iXML of a wrong size": listed(b"iXML", b"<x>" * 1000, 3001),
    "odd LIST without its last byte": listed(b"LIST", b"INFOabc") + listed(b"id3 ", b"z" * 200),
    "spaces": b" " * 512,
    "bits set": b"\xff" * 4096,
    "a page": b"<html></html>" * 50,
    "APE tag": b"APETAGEX" + b"x" * 200,
}


@pytest.mark.parametrize("name", JUNK)
def test_what_others_put_behind_a_recording_is_no_sound(name):
    np.testing.assert_array_equal(read(encoded() + JUNK[name]), SAMPLES)


@pytest.mark.parametrize("name", [b"PAD\0", b"\xa9nam"])
def test_chunks_of_odd_names_that_the_size_of_the_file_counts_are_no_samples(name):
    content = bytearray(encoded() + listed(name, b"q" * 4000))
    content[4:8] = struct.pack("<I", len(content) - 8)
    np.testing.assert_array_equal(read(bytes(content)), SAMPLES)


@pytest.mark.parametrize("stated", [0, 2**32 - 1])
def test_chunks_behind_samples_of_unknown_length_are_no_samples(stated):
    content = bytearray(encoded() + listed(b"LIST", b"INFOICMT" + b"x" * 100))
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", stated)
    np.testing.assert_array_equal(read(bytes(content)), SAMPLES)


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64", "AIFF", "CAF"])
def test_one_that_was_cut_off_ends_where_the_next_begins(kind, caplog):
    content = encoded(kind)
    found = read(content[: len(content) * 2 // 3] + content)
    assert abs(len(found) - RATE * 5 // 3) < RATE // 10
    np.testing.assert_array_equal(found[-RATE:], SAMPLES)
    assert "the rest is missing" in caplog.text


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_packed_samples_that_were_cut_off_are_said(subtype, caplog):
    content = encoded(subtype=subtype)
    assert RATE // 2 < len(read(content[: len(content) * 3 // 4])) < RATE
    assert "is cut off after" in caplog.text

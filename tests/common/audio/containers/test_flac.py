"""The last frame of a FLAC says how long it is."""

import io
import re

import numpy as np
import pytest
import soundfile

from common import audio
from common.audio.containers import examine, flac

RATE = 16000


def encoded(num_samples: int, subtype: str = "PCM_16", num_channels: int = 1) -> bytes:
    waveform = np.random.default_rng(0).normal(0, 0.1, (num_samples, num_channels))
    file = io.BytesIO()
    soundfile.write(file, waveform, RATE, format="FLAC", subtype=subtype)
    return file.getvalue()


def test_checksums_are_those_of_the_format():
    # "123456789" under CRC-8 and CRC-16 (BUYPASS, the same polynomial), as catalogues of checksums list them.
    assert flac._header_checksum(b"123456789") == 0xF4
    assert flac._checksum(b"123456789") == 0xFEE8


@pytest.mark.parametrize("num_samples", [1, 100, 4095, 4096, 4097, 50_000])
@pytest.mark.parametrize(("subtype", "num_channels"), [("PCM_16", 1), ("PCM_24", 2), ("PCM_S8", 1)])
def test_whole_files_are_left_as_they_are(num_samples, subtype, num_channels):
    content = encoded(num_samples, subtype, num_channels)
    (part,) = examine(io.BytesIO(content))
    assert part.is_file(len(content))


@pytest.mark.parametrize("num_zeros", [1, 2, 3, 100_000])
def test_zeros_behind_are_no_part_of_it(num_zeros):
    content = encoded(20_000)
    waveform, _ = audio.read(io.BytesIO(content + bytes(num_zeros)))
    np.testing.assert_array_equal(waveform, audio.read(io.BytesIO(content))[0])


def test_every_cut_gives_whole_blocks():
    content = encoded(30_000)
    whole, _ = audio.read(io.BytesIO(content))
    lengths = []
    for cut in range(9_000, len(content), 3_001):
        found, _ = audio.read(io.BytesIO(content[:cut]))
        np.testing.assert_array_equal(found, whole[: len(found)])
        lengths.append(len(found))
    assert lengths == sorted(lengths) and lengths[0] > 0 and lengths[-1] >= 30_000 - 4096


def test_its_magic_inside_a_picture_begins_no_stream():
    content = encoded(20_000)
    # A block of metadata, of type 2 (application data), that quotes the magic.
    block = bytes([2]) + (20).to_bytes(3, "big") + b"test fLaC fLaC......"
    content = content[:42] + block + content[42:] if not content[4] & 128 else content
    assert len(audio.read(io.BytesIO(content))[0]) == 20_000


@pytest.mark.parametrize("behind", [b"\n", b"\xff" * 4096, b"<html>" * 100])
def test_other_bytes_behind_it_take_no_samples_away(behind, caplog):
    content = encoded(24_000)
    waveform, _ = audio.read(io.BytesIO(content + behind))
    np.testing.assert_array_equal(waveform, audio.read(io.BytesIO(content))[0])
    assert not caplog.text


def test_a_checksum_that_ends_with_a_zero_belongs_to_its_frame():
    files = []
    for num_samples in range(1000, 1700):
        waveform = np.random.default_rng(num_samples).normal(0, 0.1, num_samples)
        file = io.BytesIO()
        soundfile.write(file, waveform, RATE, format="FLAC")
        if file.getvalue()[-1] == 0:
            files.append(file.getvalue())
    assert files
    for content in files:
        (part,) = examine(io.BytesIO(content))
        assert part.is_file(len(content))


def test_what_looks_like_a_frame_within_the_last_one_is_none():
    content = encoded(20_000)
    frames = [match.start() for match in re.finditer(rb"\xff\xf8", content)]
    *_, third, last = (at for at in frames if flac._frame(content[at : at + 16], at, 4096))
    header = content[frames[0] : frames[0] + 6]

    def disguised(begin: int, end: int) -> bytes:
        """A frame with bytes replaced by the header of another frame, and the right checksum."""
        body = content[begin : begin + 40] + header + content[begin + 46 : end - 2]
        return body + flac._checksum(body).to_bytes(2, "big")

    whole = content[:last] + disguised(last, len(content))
    (part,) = examine(io.BytesIO(whole))
    assert len(whole) == len(content) and part.is_file(len(whole))
    # Cut off behind what looks like a header: the frames before it are left.
    (part,) = examine(io.BytesIO(content[:third] + disguised(third, last)[:200]))
    assert part.pieces[-1][1] == third

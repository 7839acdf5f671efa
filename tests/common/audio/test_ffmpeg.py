"""What FFmpeg's libraries read."""

import contextlib
import os
import sys

import numpy as np
import pytest

from benchmarks import damaged_recordings
from common import audio
from common.audio import blocks as audio_blocks
from common.errors import UserError

pytest.importorskip("av", reason="needs the extra ffmpeg")
RATE = damaged_recordings.RATE


@pytest.fixture(scope="module")
def m4a() -> bytes:
    lossless = next(recording for recording in damaged_recordings.FORMATS if recording.name == "M4A ALAC")
    return lossless.encode(damaged_recordings.sound(RATE), RATE)


def test_a_lossless_recording_is_what_was_encoded(tmp_path, m4a):
    (tmp_path / "a.m4a").write_bytes(m4a)
    waveform, rate = audio.read(tmp_path / "a.m4a")
    expected = damaged_recordings.sound(RATE)
    assert rate == RATE and len(waveform) == len(expected)
    np.testing.assert_allclose(waveform, np.clip(expected, -1, 1), atol=2**-15)
    excerpt, _ = audio.read(tmp_path / "a.m4a", start=2.5, duration=1.0)
    np.testing.assert_array_equal(excerpt, waveform[round(2.5 * RATE) : round(3.5 * RATE)])
    blocks = list(audio_blocks.blocks(tmp_path / "a.m4a", RATE, 0.3))
    assert {len(block) for block in blocks[:-1]} == {round(0.3 * RATE)}
    np.testing.assert_array_equal(np.concatenate(blocks), waveform)


def test_names_that_are_no_text_or_look_like_addresses_are_files(tmp_path, m4a, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("http:a.m4a", "concat:a|b.m4a", os.fsdecode(b"caf\xe9.m4a"), "a%03d.m4a"):
        (tmp_path / name).write_bytes(m4a)
        assert len(audio.read(name)[0]) == 6 * RATE


def test_without_it_a_line_says_what_to_install(tmp_path, m4a, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.m4a").write_bytes(m4a)
    with pytest.raises(UserError, match=r"install the extra ffmpeg: pip install 'quartet-audio\[ffmpeg\]'"):
        audio.read(tmp_path / "a.m4a")


def test_a_film_without_sound_is_refused(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as film:
        stream = film.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        with contextlib.suppress(StopIteration):
            film.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        film.mux(stream.encode(None))
    with pytest.raises(UserError, match="no audio stream in it"):
        audio.read(tmp_path / "a.mp4")


def test_a_codec_that_nobody_knows_is_refused(tmp_path, m4a):
    (tmp_path / "a.m4a").write_bytes(m4a.replace(b"alac", b"zzzz"))
    with pytest.raises(UserError, match="is not readable audio"):
        audio.read(tmp_path / "a.m4a")


def test_a_stream_that_changes_its_rate_goes_on(tmp_path):
    aac = next(recording for recording in damaged_recordings.FORMATS if recording.name == "AAC")
    parts = [aac.encode(damaged_recordings.sound(rate), rate) for rate in (44100, 22050)]
    (tmp_path / "a.aac").write_bytes(b"".join(parts))
    waveform, rate = audio.read(tmp_path / "a.aac")
    assert rate == 44100 and abs(len(waveform) / rate - 12) < 0.2


def test_damaged_packets_are_left_out_with_a_word(tmp_path, m4a, caplog):
    content = bytearray(m4a)
    at = content.index(b"mdat") + 60_000
    content[at : at + 20_000] = b"\xff" * 20_000
    (tmp_path / "damaged.m4a").write_bytes(content)
    waveform, rate = audio.read(tmp_path / "damaged.m4a")
    assert 3 < len(waveform) / rate < 6
    assert "damaged.m4a" in caplog.text and "damaged or missing" in caplog.text


def test_an_invalid_seek_of_a_file_object_is_an_error_line(tmp_path, capfd):
    # A CAF whose chunk after the description has a length beyond all files.
    content = bytes.fromhex(
        "636166660001000064657363000000000000002040bf4000000000006c70636d0000000100000008000000010000000200000000"
        "00000000000700000000001c000000003ea692a100000000000005"
    )
    (tmp_path / "a.caf").write_bytes(content)
    with open(tmp_path / "a.caf", "rb") as file, pytest.raises(UserError, match="is not readable audio"):
        audio.read(file)
    assert "Traceback" not in capfd.readouterr().err

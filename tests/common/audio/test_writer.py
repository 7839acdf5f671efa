"""Audio files written block after block."""

import numpy as np
import pytest
import soundfile

from common.audio import writer
from common.errors import UserError


def test_blocks_become_one_file(tmp_path, rng):
    waveform = rng.uniform(-0.5, 0.5, (1000, 2)).astype(np.float32)
    path = tmp_path / "deep" / "song.wav"
    with writer.opened(path, 8000, 2, "PCM_24") as write:
        for start in range(0, 1000, 300):
            write(waveform[start : start + 300])
        assert not path.exists()
    found, rate = soundfile.read(path)
    assert rate == 8000 and soundfile.info(path).subtype == "PCM_24"
    np.testing.assert_allclose(found, waveform, atol=2**-22)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_other_formats(tmp_path, rng, suffix):
    path = tmp_path / f"song.{suffix}"
    with writer.opened(path, 44100, 1) as write:
        for _ in range(3):
            write(rng.uniform(-0.5, 0.5, 44100).astype(np.float32))
    assert soundfile.info(path).frames == pytest.approx(3 * 44100, abs=3000)


def test_nothing_is_left_when_the_work_fails(tmp_path):
    with pytest.raises(ValueError, match="mine"), writer.opened(tmp_path / "song.wav", 8000, 1) as write:
        write(np.zeros(10))
        raise ValueError("mine")
    assert not list(tmp_path.iterdir())


def test_clipped_samples_are_counted_over_all_blocks(tmp_path, caplog):
    with writer.opened(tmp_path / "loud.wav", 8000, 1) as write:
        write(np.array([0.5, 2.0]))
        write(np.array([-4.0, 0.1]))
    assert "2 of 4 samples exceed full scale (peak +12.0 dB)" in caplog.text
    with writer.opened(tmp_path / "float.wav", 8000, 1, "FLOAT") as write:
        write(np.array([0.5, 2.0]))
    assert soundfile.read(tmp_path / "float.wav")[0].max() == 2.0


def test_what_cannot_be_written_is_told_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match="the suffix is not that of an audio format"):
        writer.format_of("song.txt")
    with pytest.raises(UserError, match="FLAC supports PCM_S8, PCM_16, PCM_24"):
        writer.format_of("song.flac", "FLOAT")
    with pytest.raises(UserError, match="NaN or infinite"), writer.opened(tmp_path / "a.wav", 8000, 1) as write:
        write(np.array([np.nan]))
    with pytest.raises(UserError, match="cannot write"), writer.opened(tmp_path / "b.mp3", 12345, 1) as write:
        write(np.zeros(10))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["caf\udce9.wav", "你" * 83 + ".flac", "Ba$$in\n.ogg"])
def test_any_name_that_a_file_can_have(name, tmp_path):
    with writer.opened(tmp_path / name, 8000, 1) as write:
        write(np.zeros(100))
    assert [path.name for path in tmp_path.iterdir()] == [name]

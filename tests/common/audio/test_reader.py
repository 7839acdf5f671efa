"""Audio files of every kind that people have, the bad ones included."""

import io
import struct
import subprocess
import sys
import wave

import librosa
import numpy as np
import pytest
import soundfile

from common import audio
from common.audio import decoding
from common.errors import UserError
from tests.pipes import Pipe

RATE = 16000


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_U8", 2**-7),
        ("a.wav", "PCM_16", 2**-15),
        ("a.wav", "PCM_24", 2**-23),
        ("a.wav", "PCM_32", 2**-24),
        ("a.wav", "FLOAT", 0),
        ("a.wav", "DOUBLE", 0),
        ("a.flac", "PCM_16", 2**-15),
        ("a.flac", "PCM_24", 2**-23),
        ("a.aiff", None, 2**-15),
        ("a.au", None, 2**-15),
        ("a.ogg", None, 0.02),
        ("a.mp3", None, 0.02),
    ],
)
def test_what_is_written_is_read_back(tmp_path, tone, name, subtype, tolerance):
    audio.write(tmp_path / name, tone, RATE, subtype)
    waveform, rate = audio.read(tmp_path / name)
    assert rate == RATE and waveform.dtype == np.float32 and waveform.shape == tone.shape
    # A lossy codec rings where the tone begins and ends abruptly; in between it must be close.
    inner = slice(None) if tolerance < 0.01 else slice(2000, -2000)
    np.testing.assert_allclose(waveform[inner], tone[inner], rtol=0, atol=tolerance)
    header = audio.info(tmp_path / name)
    assert (header.sample_rate, header.num_channels, header.num_samples) == (RATE, 1, RATE)
    assert header.duration_seconds == 1.0


def test_opus_is_written_and_read(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    audio.write(tmp_path / "a.opus", tone, 48000)
    waveform, rate = audio.read(tmp_path / "a.opus")
    assert rate == 48000 and audio.info(tmp_path / "a.opus").encoding == "OGG OPUS"
    np.testing.assert_allclose(waveform[4000:-4000], tone[4000:-4000], atol=0.02)


def test_read_equals_librosa_on_real_files(real_data):
    for path in (
        real_data
        / "musdb_samples"
        / next(p.relative_to(real_data / "musdb_samples") for p in (real_data / "musdb_samples").rglob("mixture.wav")),
        next((real_data / "mir1k").rglob("*.flac")),
        next((real_data / "speech_commands" / "yes").glob("*.wav")),
    ):
        expected, rate = librosa.load(path, sr=None, mono=False)
        waveform, own_rate = audio.read(path, mono=False)
        assert own_rate == rate
        np.testing.assert_array_equal(waveform.T.squeeze(), expected)
        mono, _ = audio.read(path, sample_rate=8000)
        reference = librosa.resample(librosa.to_mono(expected), orig_sr=rate, target_sr=8000, res_type="soxr_hq")
        assert mono.shape == reference.shape
        np.testing.assert_allclose(mono, reference, atol=1e-5)


def test_channels_are_averaged_or_kept(tmp_path):
    stereo = np.stack([np.full(100, 0.5), np.full(100, -0.25)], axis=1)
    audio.write(tmp_path / "s.wav", stereo, RATE, "FLOAT")
    np.testing.assert_array_equal(audio.read(tmp_path / "s.wav")[0], np.full(100, 0.125, np.float32))
    np.testing.assert_array_equal(audio.read(tmp_path / "s.wav", mono=False)[0], stereo)
    audio.write(tmp_path / "m.wav", stereo[:, 0], RATE, "FLOAT")
    assert audio.read(tmp_path / "m.wav", mono=False)[0].shape == (100, 1)


@pytest.mark.parametrize(("name", "tolerance"), [("a.wav", 0), ("a.flac", 0), ("a.ogg", 1e-6), ("a.mp3", 1e-6)])
def test_an_excerpt_is_the_same_as_a_cut_of_the_whole(tmp_path, rng, name, tolerance):
    audio.write(tmp_path / name, 0.1 * rng.standard_normal(3 * RATE), RATE)
    whole, _ = audio.read(tmp_path / name)
    for start, duration in [(0.0, 0.5), (0.7, 1.0), (1.25, None), (2.5, 9.0), (2.0, float("nan"))]:
        end = None if duration is None or np.isnan(duration) else round((start + duration) * RATE)
        expected = whole[round(start * RATE) : end]
        excerpt, _ = audio.read(tmp_path / name, start=start, duration=duration)
        assert excerpt.shape == expected.shape
        np.testing.assert_allclose(excerpt, expected, rtol=0, atol=tolerance)


def test_an_excerpt_does_not_cost_the_whole_file(tmp_path):
    # A sparse WAV of 1.2 GB: reading it whole would take its size in memory, twice over.
    path = tmp_path / "long.wav"
    num_bytes = 1_200_000_000
    with path.open("wb") as file:
        file.write(_wav_header(num_bytes))
        file.truncate(num_bytes + 44)
    code = (
        "import resource, sys; from common import audio;"
        "resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000));"
        "waveform, _ = audio.read(sys.argv[1], start=30000.0, duration=1.0); print(waveform.shape)"
    )
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert result.stdout == "(16000,)\n", result.stderr


def _wav_header(num_bytes: int, rate: int = RATE, num_channels: int = 1) -> bytes:
    width = 2 * num_channels
    chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, num_channels, rate, min(rate * width, 2**32 - 1), width, 16)
    return (
        b"RIFF"
        + struct.pack("<I", min(num_bytes + 36, 2**32 - 1))
        + b"WAVE"
        + chunk
        + b"data"
        + struct.pack("<I", min(num_bytes, 2**32 - 1))
    )


def test_a_header_that_claims_too_much_gives_what_is_there(tmp_path):
    # Programs that write WAV into a pipe cannot know the length and claim 4 GB.
    samples = np.arange(-50, 50, dtype="<i2")
    (tmp_path / "p.wav").write_bytes(_wav_header(2**32 - 1) + samples.tobytes())
    for source in (tmp_path / "p.wav", io.BytesIO((tmp_path / "p.wav").read_bytes())):
        np.testing.assert_array_equal(audio.read(source)[0], samples.astype(np.float32) / 32768)


def test_flac_of_unknown_length_is_read_and_counted(tmp_path, tone):
    audio.write(tmp_path / "a.flac", tone, RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    # The 36-bit sample count of STREAMINFO: zero says that it is not known.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "u.flac").write_bytes(content)
    assert audio.read(tmp_path / "u.flac")[0].shape == (RATE,)
    assert audio.info(tmp_path / "u.flac").num_samples == RATE
    np.testing.assert_array_equal(
        audio.read(tmp_path / "u.flac", start=0.5)[0], audio.read(tmp_path / "a.flac", start=0.5)[0]
    )


def test_a_flac_header_that_claims_too_much_gives_what_is_there(tmp_path, tone):
    audio.write(tmp_path / "a.flac", tone, RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff\xff\xff\xff"
    (tmp_path / "b.flac").write_bytes(content)
    assert audio.read(tmp_path / "b.flac")[0].shape == (RATE,)


def test_a_pipe_is_read(tone):
    content = io.BytesIO()
    soundfile.write(content, tone, RATE, format="WAV", subtype="FLOAT")
    waveform, rate = audio.read(io.BufferedReader(Pipe(content.getvalue())))
    assert rate == RATE
    np.testing.assert_array_equal(waveform, tone)


def test_samples_over_full_scale_in_float_files_are_kept(tmp_path):
    audio.write(tmp_path / "loud.wav", np.array([2.0, -3.0]), RATE, "FLOAT")
    np.testing.assert_array_equal(audio.read(tmp_path / "loud.wav")[0], [2.0, -3.0])


def _bad_files(folder) -> dict[str, str]:
    """File names and the words that the message about each must have."""
    (folder / "folder.wav").mkdir()
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("This is not audio.")
    (folder / "noise.mp3").write_bytes(bytes(range(256)) * 20)
    (folder / "cut.flac").write_bytes(b"fLaC\0\0\0\x22")
    (folder / "no_samples.wav").write_bytes(_wav_header(0))
    (folder / "rate.wav").write_bytes(_wav_header(4, rate=2_000_000_000) + bytes(4))
    (folder / "one_hertz.wav").write_bytes(_wav_header(4, rate=1) + bytes(4))
    (folder / "headerless.raw").write_bytes(bytes(100))
    soundfile.write(folder / "nan.wav", [0.0, float("nan")], RATE, subtype="FLOAT")
    soundfile.write(folder / "infinite.wav", [0.0, 1e300], RATE, subtype="DOUBLE")
    return {
        "missing.wav": "does not exist",
        "folder.wav": "is a folder",
        "empty.wav": "is empty",
        "text.wav": "is not readable audio",
        "noise.mp3": "is not readable audio",
        "cut.flac": "is not readable audio",
        "no_samples.wav": "has no samples",
        "rate.wav": "states a sample rate of 2000000000 Hz",
        "one_hertz.wav": "states a sample rate of 1 Hz",
        "headerless.raw": "is not readable audio",
        "nan.wav": "NaN or infinite",
        "infinite.wav": "NaN or infinite",
    }


def test_a_bad_file_gives_one_line_that_names_it(tmp_path):
    for name, words in _bad_files(tmp_path).items():
        with pytest.raises(UserError) as caught:
            audio.read(tmp_path / name)
        message = caught.value.command_line
        assert name in message and words in message and "expected" in message and "\n" not in message, message


def test_a_bad_stream_is_named_standard_input():
    with pytest.raises(UserError, match="standard input is empty"):
        audio.read(io.BytesIO())
    with pytest.raises(UserError, match="standard input is not readable audio"):
        audio.read(io.BytesIO(b"hello there, no audio"))


def test_a_cut_off_wav_gives_the_samples_that_are_left(tmp_path, tone):
    audio.write(tmp_path / "a.wav", tone, RATE)
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: len(content) // 2])
    waveform, _ = audio.read(tmp_path / "cut.wav")
    np.testing.assert_array_equal(waveform, audio.read(tmp_path / "a.wav")[0][: len(waveform)])
    assert len(waveform) == (len(content) // 2 - 44) // 2


def test_an_excerpt_past_the_end_or_of_no_length_is_refused(tmp_path, tone):
    audio.write(tmp_path / "a.wav", tone, RATE)
    with pytest.raises(UserError, match="no samples at 1.5 s or later"):
        audio.read(tmp_path / "a.wav", start=1.5)
    for start, duration in [(-0.1, None), (0.0, 0.0), (0.0, -1.0)]:
        with pytest.raises(UserError, match="lasts more than 0 s"):
            audio.read(tmp_path / "a.wav", start=start, duration=duration)


def test_clipping_is_told_and_does_not_wrap_around(tmp_path, caplog):
    audio.write(tmp_path / "a.wav", np.array([0.0, 1.5, -2.0]), RATE)
    audio.write(tmp_path / "b.wav", np.array([0.0, 1.0, -1.0]), RATE)
    messages = caplog.messages
    assert len(messages) == 1 and "2 of 3 samples" in messages[0] and "+6.0 dB" in messages[0]
    with wave.open(str(tmp_path / "a.wav")) as file:
        np.testing.assert_array_equal(np.frombuffer(file.readframes(3), "<i2"), [0, 32767, -32768])


@pytest.mark.parametrize(
    ("name", "waveform", "rate", "subtype", "words"),
    [
        ("a.wav", [0.0, np.nan], RATE, None, "NaN or infinite"),
        ("a.wav", [0.0, np.inf], RATE, None, "NaN or infinite"),
        ("a.wav", [], RATE, None, "received (0,)"),
        ("a.wav", np.zeros((2, 2, 2)), RATE, None, "received (2, 2, 2)"),
        ("a.xyz", [0.0], RATE, None, "the suffix is not that of an audio format"),
        ("a", [0.0], RATE, None, "the suffix is not that of an audio format"),
        ("a.wav", [0.0], RATE, "VORBIS", "as WAV VORBIS"),
        ("a.opus", [0.0], 44100, None, "as OGG OPUS, 44100 Hz"),
        ("a.wav", [0.0], -1, None, "-1 Hz"),
    ],
)
def test_a_write_that_cannot_be_done_gives_one_line_and_leaves_nothing(tmp_path, name, waveform, rate, subtype, words):
    (tmp_path / "file").write_text("stands where a folder should")
    with pytest.raises(UserError) as caught:
        audio.write(tmp_path / name, np.array(waveform), rate, subtype)
    assert words in caught.value.command_line, caught.value
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path, tone):
    audio.write(tmp_path / "a.wav", tone, RATE)
    before = (tmp_path / "a.wav").read_bytes()
    with pytest.raises(UserError):
        audio.write(tmp_path / "a.wav", tone, RATE, "VORBIS")
    assert (tmp_path / "a.wav").read_bytes() == before


def test_long_ogg_files_are_written(tmp_path):
    num_samples = 3_000_000
    audio.write(tmp_path / "long.ogg", np.zeros(num_samples), RATE)
    assert audio.info(tmp_path / "long.ogg").num_samples == num_samples


def test_lossy_encodings_are_clipped_too(tmp_path, tone):
    audio.write(tmp_path / "a.ogg", 4 * tone, RATE)
    # A square wave without the harmonics that the codec drops swings over by a fifth, not to twice full scale.
    assert np.abs(audio.read(tmp_path / "a.ogg")[0][2000:-2000]).max() < 1.3


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path, tone):
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(UserError, match="cannot write .*a.wav"):
        audio.write(tmp_path / "a.wav", tone, RATE)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_an_excerpt_of_what_cannot_be_sought_is_read(tmp_path, tone):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone, 16000, subtype="GSM610")
    whole, _ = audio.read(path)
    excerpt, _ = audio.read(path, start=0.1, duration=0.05)
    np.testing.assert_array_equal(excerpt, whole[1600:2400])


def test_a_header_that_leads_before_the_beginning_of_a_pipe_prints_nothing(capfd):
    # An AIFF whose sound claims to begin beyond the end, and one of a negative size: libsndfile seeks there.
    file = io.BytesIO()
    soundfile.write(file, np.zeros(800), 8000, format="AIFF")
    content = file.getvalue()
    for name in (b"COMM", b"SSND"):
        at = content.index(name) + 4
        for size in (b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\x7f\xff\xff\xff"):
            try:
                audio.read(io.BytesIO(content[:at] + size + content[at + 4 :]))
            except UserError as error:
                assert "standard input" in str(error)
    assert "Traceback" not in capfd.readouterr().err


def test_an_ogg_whose_last_page_is_damaged_is_not_sought(tmp_path, tone, monkeypatch):
    """libsndfile 1.2 reads memory that is not there when it seeks in some."""
    path = tmp_path / "a.ogg"
    soundfile.write(path, tone, 16000)
    whole, _ = audio.read(path)
    monkeypatch.setattr(decoding.ForwardFile, "seek", lambda *arguments: pytest.fail("it was sought"))
    excerpt, _ = audio.read(path, start=0.1, duration=0.05)
    np.testing.assert_allclose(excerpt, whole[1600:2400], atol=1e-6)


def test_channels_that_cancel_are_read_by_the_first(tmp_path, tone, caplog):
    audio.write(tmp_path / "cancels.wav", np.stack([tone, -tone], axis=1), RATE, "FLOAT")
    audio.write(tmp_path / "left.wav", np.stack([tone, 0 * tone], axis=1), RATE, "FLOAT")
    audio.write(tmp_path / "silent_first.wav", np.stack([0 * tone, tone, -tone], axis=1), RATE, "FLOAT")
    np.testing.assert_array_equal(audio.read(tmp_path / "cancels.wav")[0], tone)
    assert "cancel each other out" in caplog.text and "cancels.wav" in caplog.text
    np.testing.assert_array_equal(audio.read(tmp_path / "left.wav")[0], tone / 2)
    np.testing.assert_array_equal(audio.read(tmp_path / "silent_first.wav")[0], tone)
    assert "left.wav" not in caplog.text


def test_silence_of_two_channels_does_not_cancel(tmp_path, caplog):
    audio.write(tmp_path / "a.wav", np.zeros((100, 2)), RATE)
    np.testing.assert_array_equal(audio.read(tmp_path / "a.wav")[0], np.zeros(100))
    assert not caplog.text

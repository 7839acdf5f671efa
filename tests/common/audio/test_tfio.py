"""The graph decoders against soundfile: the same file gives the same waveform, whichever reads it."""

import io

import numpy as np
import pytest
import tensorflow as tf

from common import audio
from common.audio import tfio
from common.errors import UserError

needs_tfio = pytest.mark.skipif(
    not tfio.available(), reason="tensorflow-io (extra tfio, TensorFlow 2.16) is not installed"
)
# One step of 16 bits, in which shards keep waveforms, is 3e-5.
TOLERANCE = {".flac": 0.0, ".ogg": 1e-5, ".mp3": 1e-5}
FILES = [
    ("a.flac", "PCM_S8"),
    ("a.flac", "PCM_16"),
    ("a.flac", "PCM_24"),
    ("a.ogg", None),
    ("a.mp3", None),
]


@pytest.fixture
def music(rng) -> np.ndarray:
    """Two seconds of stereo with tones, noise and silence, at 44.1 kHz."""
    time = np.arange(88200)[:, None] / 44100
    tones = 0.3 * np.sin(2 * np.pi * np.array([440.0, 3000.0]) * time) + 0.05 * rng.standard_normal((88200, 2))
    tones[30000:40000] = 0
    return tones.astype(np.float32)


@needs_tfio
@pytest.mark.parametrize("rate", [44100, 16000, 22050, 8000])
@pytest.mark.parametrize("num_channels", [1, 2])
@pytest.mark.parametrize(("name", "subtype"), FILES)
def test_decoding_in_a_pipeline_equals_soundfile(tmp_path, music, name, subtype, num_channels, rate):
    path = tmp_path / name
    audio.write(path, music[:, :num_channels], rate, subtype)
    expected, _ = audio.read(path, mono=False)
    dataset = tf.data.Dataset.from_tensors(str(path)).map(lambda path: tfio.decode(tf.io.read_file(path)))
    for waveform, decoded_rate in [*dataset, tfio.decode(path.read_bytes())]:
        assert int(decoded_rate) == rate and waveform.dtype == tf.float32
        assert waveform.shape == expected.shape
        np.testing.assert_allclose(waveform, expected, rtol=0, atol=TOLERANCE[path.suffix])


@needs_tfio
def test_files_of_different_formats_go_through_one_pipeline(tmp_path, music):
    for name, subtype in FILES:
        audio.write(tmp_path / f"{subtype}{name}", music, 16000, subtype)
    dataset = tf.data.Dataset.list_files(str(tmp_path / "*")).map(lambda path: tfio.decode(tf.io.read_file(path)))
    assert [(waveform.shape[1], int(rate)) for waveform, rate in dataset] == [(2, 16000)] * len(FILES)


@needs_tfio
def test_mp3_behind_a_tag_has_its_rate_found(tmp_path, music):
    audio.write(tmp_path / "a.mp3", music, 22050)
    content = b"ID3\x04\0\0\0\0\x10\0" + b"\xff" * 2048 + (tmp_path / "a.mp3").read_bytes()
    waveform, rate = tfio.decode(content)
    assert int(rate) == 22050
    (tmp_path / "tagged.mp3").write_bytes(content)
    np.testing.assert_allclose(waveform, audio.read(tmp_path / "tagged.mp3", mono=False)[0], atol=1e-5)


@pytest.mark.parametrize(("name", "subtype"), [*FILES, ("a.wav", "PCM_16"), ("a.opus", None)])
def test_read_equals_the_common_reader(tmp_path, music, name, subtype):
    # Runs without tensorflow-io too, where everything goes to the common reader.
    path = tmp_path / name
    audio.write(path, music, 48000, subtype)
    tolerance = TOLERANCE.get(path.suffix, 0.0)
    for arguments in [{}, {"sample_rate": 16000}, {"start": 0.5}, {"start": 0.25, "duration": 0.5}, {"duration": 9.0}]:
        expected, rate = audio.read(path, **arguments)
        waveform, own_rate = tfio.read(path, **arguments)
        assert own_rate == rate and waveform.shape == expected.shape and waveform.dtype == np.float32
        np.testing.assert_allclose(waveform, expected, rtol=0, atol=tolerance)


def test_real_flac_is_read_exactly(real_data):
    for path in sorted((real_data / "librispeech").rglob("*.flac"))[:3]:
        np.testing.assert_array_equal(tfio.read(path, 8000)[0], audio.read(path, 8000)[0])


def _damaged(folder, music) -> dict[str, bytes]:
    audio.write(folder / "a.flac", music, 16000)
    audio.write(folder / "a.ogg", music, 16000)
    audio.write(folder / "a.mp3", music, 16000)
    flac, ogg, mp3 = ((folder / name).read_bytes() for name in ("a.flac", "a.ogg", "a.mp3"))
    unknown_length = flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]
    absurd_length = flac[:21] + bytes([flac[21] | 0x0F]) + b"\xff" * 4 + flac[26:]
    return {
        "empty.flac": b"",
        "empty.ogg": b"",
        "empty.mp3": b"",
        "text.flac": b"no audio at all",
        "head.flac": flac[:30],
        "head.ogg": ogg[:30],
        "cut.flac": flac[: len(flac) // 2],
        "cut.mp3": mp3[: len(mp3) // 2],
        "unknown.flac": unknown_length,
        "absurd.flac": absurd_length,
        "opus.ogg": _opus(),
    }


def _opus() -> bytes:
    file = io.BytesIO()
    import soundfile

    soundfile.write(file, np.zeros(4800), 48000, format="OGG", subtype="OPUS")
    return file.getvalue()


@needs_tfio
def test_what_the_kernels_cannot_decode_is_an_error_and_no_crash(tmp_path, music):
    for name, content in _damaged(tmp_path, music).items():
        with pytest.raises(tf.errors.OpError):
            tfio.decode(content)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(tf.errors.OpError):
            list(tf.data.Dataset.from_tensors(content).map(tfio.decode))


def test_damaged_files_are_read_or_refused_as_by_the_common_reader(tmp_path, music):
    for name, content in _damaged(tmp_path, music).items():
        path = tmp_path / name
        path.write_bytes(content)
        try:
            expected = audio.read(path)[0]
        except UserError as error:
            with pytest.raises(UserError) as caught:
                tfio.read(path)
            assert caught.value.command_line == error.command_line
        else:
            np.testing.assert_array_equal(tfio.read(path)[0], expected)
    with pytest.raises(UserError, match="no samples at 7 s or later"):
        tfio.read(tmp_path / "a.flac", start=7)
    with pytest.raises(UserError, match="missing.flac does not exist"):
        tfio.read(tmp_path / "missing.flac")

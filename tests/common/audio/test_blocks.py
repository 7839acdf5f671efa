"""Recordings read in blocks: the same waveform as `audio.read`, from little memory."""

import io
import struct
import tempfile
import tracemalloc

import numpy as np
import pytest
import soundfile

from common import audio
from common.audio import blocks as audio_blocks
from common.errors import UserError
from tests.pipes import Pipe

RATE = 16000


@pytest.fixture
def temporary_dir(tmp_path, monkeypatch):
    """The folder that temporary files go to."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _noise(rng, rate: int, seconds: float = 3.3, num_channels: int = 1) -> np.ndarray:
    return 0.1 * rng.standard_normal((int(seconds * rate), num_channels))


def _check_blocks(source, path, sample_rate=RATE, block_seconds=1.0, mono=True) -> None:
    """Check that the blocks of `source` are the waveform that `audio.read` gives of `path`."""
    expected, _ = audio.read(path, sample_rate, mono)
    read = list(audio_blocks.blocks(source, sample_rate, block_seconds, mono))
    block_samples = round(block_seconds * sample_rate)
    assert [len(block) for block in read[:-1]] == [block_samples] * (len(read) - 1)
    assert 1 <= len(read[-1]) <= block_samples
    assert all(block.dtype == np.float32 for block in read)
    waveform = np.concatenate(read)
    assert waveform.shape == expected.shape
    # Measured: 0, for soxr takes the same steps either way.
    np.testing.assert_allclose(waveform, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("block_seconds", [0.01, 0.77, 1.0, 10.0])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_blocks_are_what_read_gives_at_16_khz(tmp_path, rng, rate, block_seconds):
    audio.write(tmp_path / "a.wav", _noise(rng, rate), rate)
    _check_blocks(tmp_path / "a.wav", tmp_path / "a.wav", block_seconds=block_seconds)


@pytest.mark.parametrize("sample_rate", [8000, 11025, 44100, 48000])
def test_blocks_are_what_read_gives_at_other_rates(tmp_path, rng, sample_rate):
    audio.write(tmp_path / "a.wav", _noise(rng, 22050), 22050)
    _check_blocks(tmp_path / "a.wav", tmp_path / "a.wav", sample_rate)


@pytest.mark.parametrize("rate", [RATE, 44100])
def test_an_excerpt_is_what_read_gives_of_it(tmp_path, rng, rate):
    path = tmp_path / "song.wav"
    soundfile.write(path, _noise(rng, rate), rate)
    expected, _ = audio.read(path, RATE, start=0.75, duration=1.5)
    found = np.concatenate(list(audio_blocks.blocks(path, RATE, 0.4, start=0.75, duration=1.5)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(UserError, match="no samples at 5 s or later"):
        next(audio_blocks.blocks(path, RATE, start=5))
    with pytest.raises(UserError, match="lasts more than 0 s"):
        next(audio_blocks.blocks(path, RATE, duration=0))


@pytest.mark.parametrize("num_channels", [1, 2, 6])
@pytest.mark.parametrize("mono", [True, False])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_channels_are_averaged_or_kept(tmp_path, rng, rate, mono, num_channels):
    audio.write(tmp_path / "a.wav", _noise(rng, rate, num_channels=num_channels), rate)
    _check_blocks(tmp_path / "a.wav", tmp_path / "a.wav", mono=mono)
    block = next(audio_blocks.blocks(tmp_path / "a.wav", RATE, 1.0, mono))
    assert block.shape == ((RATE,) if mono else (RATE, num_channels))


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3"])
def test_compressed_files_are_read(tmp_path, rng, name):
    audio.write(tmp_path / name, _noise(rng, 44100, num_channels=2), 44100)
    _check_blocks(tmp_path / name, tmp_path / name)
    _check_blocks(io.BytesIO((tmp_path / name).read_bytes()), tmp_path / name)


@pytest.mark.parametrize("num_samples", [1, 2, 441, 44100, 44101, 88200])
def test_the_length_is_that_of_read(tmp_path, rng, num_samples):
    audio.write(tmp_path / "a.wav", 0.1 * rng.standard_normal(num_samples), 44100)
    _check_blocks(tmp_path / "a.wav", tmp_path / "a.wav")
    assert sum(map(len, audio_blocks.blocks(tmp_path / "a.wav", RATE))) == -(-num_samples * RATE // 44100)


def test_blocks_join_without_a_click(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * 44100) / 44100)
    audio.write(tmp_path / "a.wav", tone, 44100, "FLOAT")
    waveform = np.concatenate(list(audio_blocks.blocks(tmp_path / "a.wav", RATE, 0.1)))
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    np.testing.assert_allclose(waveform[1000:-1000], expected[1000:-1000], atol=1e-4)


def _flac_of_unknown_length(path, waveform: np.ndarray, rate: int) -> bytes:
    audio.write(path, waveform, rate)
    content = bytearray(path.read_bytes())
    # The 36-bit sample count of STREAMINFO: zero says that it is not known.
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def test_flac_of_unknown_length_is_read_from_a_pipe(tmp_path, rng, temporary_dir):
    content = _flac_of_unknown_length(tmp_path / "a.flac", _noise(rng, 44100), 44100)
    _check_blocks(io.BufferedReader(Pipe(content)), tmp_path / "a.flac")
    assert not list(temporary_dir.iterdir())


def test_wav_that_claims_4_gb_is_read_from_a_pipe(tmp_path, rng):
    # Programs that write WAV into a pipe cannot know the length.
    audio.write(tmp_path / "a.wav", _noise(rng, 8000), 8000)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", 2**32 - 1)
    _check_blocks(io.BufferedReader(Pipe(bytes(content))), tmp_path / "a.wav")


def test_a_file_object_that_can_seek_is_not_copied(tmp_path, rng, monkeypatch):
    audio.write(tmp_path / "a.wav", _noise(rng, 8000), 8000)
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    with (tmp_path / "a.wav").open("rb") as file:
        _check_blocks(file, tmp_path / "a.wav")
        assert not file.closed


def test_a_file_object_is_read_from_where_it_stands(tmp_path, rng):
    audio.write(tmp_path / "a.wav", _noise(rng, 8000), 8000)
    file = io.BytesIO(b"a line before\n" + (tmp_path / "a.wav").read_bytes())
    file.readline()
    _check_blocks(file, tmp_path / "a.wav")


class Disk(io.BytesIO):
    """Stands for a temporary file, and remembers whether it was closed."""

    instances = []

    def __init__(self):
        super().__init__()
        self.instances.append(self)


@pytest.mark.parametrize("end", ["read to the end", "left early", "nan", "not audio", "no samples"])
def test_the_temporary_file_is_removed_however_it_ends(tmp_path, rng, monkeypatch, end):
    monkeypatch.setattr(tempfile, "TemporaryFile", Disk)
    Disk.instances.clear()
    waveform = np.zeros((0, 1)) if end == "no samples" else _noise(rng, 8000)
    waveform[8000:] = np.nan if end == "nan" else 0.0
    file = io.BytesIO(b"This is not audio." if end == "not audio" else b"")
    if end != "not audio":
        soundfile.write(file, waveform, 8000, format="WAV", subtype="FLOAT")
    blocks = audio_blocks.blocks(io.BufferedReader(Pipe(file.getvalue())), RATE, 0.5)
    if end == "left early":
        next(blocks)
        blocks.close()
    elif end == "read to the end":
        assert len(list(blocks)) == 7
    else:
        with pytest.raises(UserError, match="standard input"):
            list(blocks)
    assert [disk.closed for disk in Disk.instances] == [True]


def test_a_full_disk_is_told(rng, monkeypatch):
    class FullDisk(Disk):
        def write(self, content):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", FullDisk)
    with pytest.raises(UserError, match="standard input to a temporary file: No space left on device.*TMPDIR"):
        next(audio_blocks.blocks(io.BufferedReader(Pipe(bytes(100))), RATE))


def _peak_bytes(blocks) -> int:
    tracemalloc.start()
    try:
        for _ in blocks:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_follow_the_length(tmp_path):
    audio.write(tmp_path / "short.wav", np.zeros(60 * 8000), 8000)
    audio.write(tmp_path / "long.wav", np.zeros(600 * 8000), 8000)
    pipes = {path.name: io.BufferedReader(Pipe(path.read_bytes())) for path in tmp_path.iterdir()}
    for read in (
        lambda name: audio_blocks.blocks(tmp_path / name, RATE),
        lambda name: audio_blocks.blocks(pipes[name], RATE),
        lambda name: audio_blocks.windows(audio_blocks.blocks(tmp_path / name, RATE), RATE, RATE // 2, batch_size=8),
    ):
        short, long = _peak_bytes(read("short.wav")), _peak_bytes(read("long.wav"))
        # Ten minutes at 16 kHz are 38 MB.
        assert long < 1.1 * short < 10e6, (short, long)


def test_a_bad_file_gives_the_message_of_read(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("This is not audio.")
    (tmp_path / "headerless.raw").write_bytes(bytes(100))
    soundfile.write(tmp_path / "no_samples.wav", np.zeros(0), RATE)
    soundfile.write(tmp_path / "nan.wav", [0.0, float("nan")], RATE, subtype="FLOAT")
    audio.write(tmp_path / "rate.wav", np.zeros(2), RATE)
    content = bytearray((tmp_path / "rate.wav").read_bytes())
    content[24:28] = struct.pack("<I", 2_000_000_000)
    (tmp_path / "rate.wav").write_bytes(content)
    for name in ("missing.wav", *(path.name for path in tmp_path.iterdir())):
        with pytest.raises(UserError) as expected:
            audio.read(tmp_path / name)
        with pytest.raises(UserError) as caught:
            next(audio_blocks.blocks(tmp_path / name, RATE))
        assert caught.value.command_line == expected.value.command_line


@pytest.mark.parametrize("content", [b"", b"hello there, no audio"])
@pytest.mark.parametrize("source", [io.BytesIO, lambda content: io.BufferedReader(Pipe(content))])
def test_a_bad_stream_gives_the_message_of_read(source, content):
    with pytest.raises(UserError, match="standard input is ") as expected:
        audio.read(io.BytesIO(content))
    with pytest.raises(UserError) as caught:
        next(audio_blocks.blocks(source(content), RATE))
    assert caught.value.command_line == expected.value.command_line


def test_nan_is_told_when_its_turn_comes(tmp_path, rng):
    waveform = _noise(rng, RATE)
    waveform[40000] = np.nan
    soundfile.write(tmp_path / "a.wav", waveform, RATE, subtype="FLOAT")
    blocks = audio_blocks.blocks(tmp_path / "a.wav", RATE, 1.0)
    np.testing.assert_array_equal(next(blocks), waveform[:RATE, 0].astype(np.float32))
    with pytest.raises(UserError, match="a.wav contains NaN or infinite samples"):
        list(blocks)


@pytest.mark.parametrize("block_seconds", [0.0, -1.0, 1e-6])
def test_blocks_without_samples_are_refused(tmp_path, block_seconds):
    with pytest.raises(UserError, match="has no samples; expected at least one"):
        next(audio_blocks.blocks(tmp_path / "a.wav", RATE, block_seconds))


def _expected_windows(waveform: np.ndarray, window: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """The first samples and the windows, cut from the whole waveform."""
    num_windows = 1 + max(0, -(-(len(waveform) - window) // hop))
    padded = np.pad(waveform, (0, max(0, window - len(waveform))))
    starts = np.minimum(hop * np.arange(num_windows), max(0, len(waveform) - window))
    return starts, np.stack([padded[start : start + window] for start in starts])


@pytest.mark.parametrize("block_samples", [1, 7, 100, 1000])
@pytest.mark.parametrize(("window", "hop"), [(10, 10), (10, 1), (10, 3), (64, 32), (1, 1)])
@pytest.mark.parametrize("num_samples", [1, 9, 10, 11, 13, 20, 96, 200])
def test_windows_equal_those_cut_from_the_whole(rng, num_samples, window, hop, block_samples):
    waveform = rng.standard_normal(num_samples).astype(np.float32)
    blocks = [waveform[start : start + block_samples] for start in range(0, num_samples, block_samples)]
    batches = list(audio_blocks.windows(iter(blocks), window, hop, batch_size=4))
    assert all(1 <= len(starts) <= 4 for starts, _ in batches)
    starts = np.concatenate([starts for starts, _ in batches])
    waveforms = np.concatenate([waveforms for _, waveforms in batches])
    expected_starts, expected = _expected_windows(waveform, window, hop)
    assert starts.dtype == np.int64 and waveforms.dtype == np.float32
    np.testing.assert_array_equal(starts, expected_starts)
    np.testing.assert_array_equal(waveforms, expected)
    # Every sample is in a window, and no window is of silence alone.
    assert starts[-1] < num_samples <= starts[-1] + window


def test_batches_are_independent_arrays(rng):
    waveform = rng.standard_normal(100).astype(np.float32)
    batches = list(audio_blocks.windows([waveform], 10, 5, batch_size=4))
    for _, waveforms in batches:
        waveforms[:] = 0
    np.testing.assert_array_equal(next(audio_blocks.windows([waveform], 10, 5, batch_size=1))[1][0], waveform[:10])


def test_no_blocks_give_no_windows():
    assert list(audio_blocks.windows([], 10, 5, batch_size=4)) == []


@pytest.mark.parametrize(
    ("block", "window", "hop", "batch_size", "words"),
    [
        (np.zeros(5), 4, 5, 1, "a hop of 1 to 4 samples"),
        (np.zeros(5), 4, 0, 1, "a hop of 1 to 4 samples"),
        (np.zeros(5), 4, 2, 0, "at least one window"),
        (np.zeros((5, 2)), 4, 2, 1, r"received \(5, 2\)"),
    ],
)
def test_windows_that_cannot_be_cut_are_refused(block, window, hop, batch_size, words):
    with pytest.raises(ValueError, match=words):
        list(audio_blocks.windows([block], window, hop, batch_size))


def test_windows_come_with_the_block_that_completes_them(rng):
    given = []

    def live():
        for block in np.split(rng.standard_normal(100), 20):
            given.append(block)
            yield block

    for starts, waveforms in audio_blocks.windows(live(), 10, 5, batch_size=64):
        assert starts.tolist() == [5 * (len(given) - 2)]
        np.testing.assert_array_equal(waveforms[0], np.concatenate(given[-2:]).astype(np.float32))
    assert len(given) == 20


@pytest.mark.parametrize("rate", [8000, RATE, 44100])
@pytest.mark.parametrize("num_channels", [1, 2])
def test_a_waveform_in_memory_is_read_as_its_file_is(tmp_path, rng, rate, num_channels):
    waveform = _noise(rng, rate, num_channels=num_channels).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", waveform, rate, subtype="FLOAT")
    expected = np.concatenate(list(audio_blocks.source_blocks(tmp_path / "a.wav", RATE, block_seconds=0.7)))
    read = list(audio_blocks.source_blocks(waveform, RATE, rate, block_seconds=0.7))
    assert {len(block) for block in read[:-1]} == {round(0.7 * RATE)}
    np.testing.assert_allclose(np.concatenate(read), expected, rtol=0, atol=1e-6)
    if rate == RATE:
        np.testing.assert_array_equal(np.concatenate(list(audio_blocks.source_blocks(waveform, RATE))), expected)


def test_a_waveform_that_cannot_be_used_is_refused_at_once(tmp_path):
    with pytest.raises(UserError, match="has no samples"):
        audio_blocks.source_blocks(np.zeros(0), RATE)
    audio.write(tmp_path / "a.wav", np.zeros(100), 8000)
    with pytest.raises(UserError, match="a file has its own; leave it out"):
        audio_blocks.source_blocks(tmp_path / "a.wav", RATE, 8000)
    with pytest.raises(UserError, match="NumPy waveform, got list"):
        audio_blocks.source_blocks([0.0, 0.5], RATE)


def test_channels_that_cancel_for_a_while_are_heard_meanwhile(tmp_path, rng):
    left = rng.normal(0, 0.1, 8 * 8000).astype(np.float32)
    right = np.where(np.arange(len(left)) < 4 * 8000, left, -left)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 8000, subtype="FLOAT")
    heard = np.concatenate(list(audio_blocks.blocks(tmp_path / "a.wav", 8000, 10.0)))
    np.testing.assert_allclose(heard, left, atol=1e-6)

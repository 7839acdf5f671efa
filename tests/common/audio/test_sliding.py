import numpy as np
import pytest

from common import audio
from common.audio import sliding
from common.audio.sliding import BATCH_SIZE, Stretch, WindowModel
from common.errors import UserError

RATE = 8000


@pytest.fixture
def batches():
    return []


@pytest.fixture
def model(batches):
    """A model that says how much energy a clip has."""

    def run(clips):
        batches.append(len(clips))
        return np.square(clips).sum(axis=1, keepdims=True)

    return WindowModel(run, sample_rate=RATE, num_samples=RATE, num_labels=1)


@pytest.mark.parametrize("hop_seconds", [0.01, 0.1, 0.25, 1.0])
def test_a_file_comes_in_full_batches(tmp_path, rng, model, batches, hop_seconds):
    waveform = rng.uniform(-0.5, 0.5, 100 * RATE).astype(np.float32)
    hop = model.hop_samples(hop_seconds)
    found = list(model.windows(model.blocks(waveform, hop_seconds=hop_seconds), hop))
    # Few are not full: the first block has windows less, and the recording ends somewhere.
    assert sum(size < BATCH_SIZE for size in batches) <= 3
    starts = np.concatenate([starts for starts, _, _ in found])
    np.testing.assert_array_equal(starts, hop * np.arange(len(starts)))
    for _, waveforms, outputs in found:
        np.testing.assert_array_equal(outputs[:, 0], np.square(waveforms).sum(axis=1))


def surroundings(waveform, hop):
    """Say how much energy each window has with 200 samples before it and 100 after it."""
    windows = np.lib.stride_tricks.sliding_window_view(waveform, RATE + 300)[::hop]
    return np.square(windows).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("num_samples", [RATE // 2, RATE, 3 * RATE + 17, 30 * RATE])
@pytest.mark.parametrize("block", [333, 100_000])
def test_windows_that_share_have_their_surroundings(rng, model, num_samples, block):
    model.stretch = Stretch(surroundings, 80, 200, 100)
    waveform = rng.uniform(-0.5, 0.5, num_samples).astype(np.float32)
    hop = model.hop_samples(0.1)
    blocks = [waveform[first : first + block] for first in range(0, num_samples, block)]
    starts, clips, outputs = map(np.concatenate, zip(*model.windows(blocks, hop), strict=True))
    last = max(0, num_samples - RATE)
    np.testing.assert_array_equal(starts, sorted({*range(0, last + 1, hop), last}))
    padded = np.pad(waveform, (200, 100 + max(0, RATE - num_samples)))
    for start, clip, output in zip(starts, clips, outputs, strict=True):
        np.testing.assert_array_equal(clip, padded[start + 200 : start + 200 + RATE])
        # The last one, if it is off the grid, has no surroundings.
        around = padded[start : start + RATE + 300] if start % hop == 0 else clip
        assert output[0] == pytest.approx(np.square(around).sum(), rel=1e-4)


def test_the_hop_of_windows_that_share_is_a_multiple_of_the_grid(model):
    model.stretch = Stretch(surroundings, 640, 0, 0)
    assert [model.hop_samples(seconds) for seconds in (0.001, 0.1, 0.13, 1.0)] == [640, 640, 1280, 12 * 640]


def test_another_shape_of_outputs_is_an_error():
    model = WindowModel(lambda clips: np.zeros((len(clips), 3)), sample_rate=RATE, num_samples=RATE, num_labels=2)
    with pytest.raises(ValueError, match=r"run: expected outputs \(1, 2\), got \(1, 3\)"):
        list(model.windows([np.zeros(RATE, np.float32)], RATE))
    model.num_labels = 3
    assert model.outputs(np.zeros((1, RATE))).dtype == np.float32


def test_the_first_block_says_whether_a_recording_is_long(model):
    for seconds, long in ((0.1, False), (1.5, False), (1.51, True), (100, True)):
        assert model.is_long(next(model.blocks(np.ones(round(seconds * RATE))))) == long


def test_a_clip_is_the_loudest_part_or_filled_up(model):
    waveform = np.zeros(3 * RATE, np.float32)
    waveform[RATE : 2 * RATE] = 0.5
    np.testing.assert_array_equal(
        model.clips([waveform, np.ones(3)]), [np.full(RATE, 0.5), np.eye(RATE)[:3].sum(axis=0)]
    )


def test_a_recording_is_read_at_the_models_rate(tmp_path, model, rng):
    waveform = rng.uniform(-0.5, 0.5, 44100).astype(np.float32)
    audio.write(tmp_path / "a.wav", waveform, 44100, "FLOAT")
    expected, _ = audio.read(tmp_path / "a.wav", RATE)
    np.testing.assert_allclose(model.waveform(tmp_path / "a.wav"), expected, atol=1e-6)
    np.testing.assert_allclose(model.waveform(waveform, 44100), expected, atol=1e-6)


@pytest.mark.parametrize("hop_seconds", [0.0, -0.1, float("nan"), 1.01])
def test_a_hop_out_of_range_is_refused(model, hop_seconds):
    with pytest.raises(UserError, match="hop_seconds: expected (more than 0|at most the model's clip of 1 s), got"):
        model.hop_samples(hop_seconds)
    assert model.hop_samples(1.0) == RATE and model.hop_samples(1e-9) == 1
    sliding.check_hop(1.0, 1.0)

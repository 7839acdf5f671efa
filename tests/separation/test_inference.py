"""Whole songs: whatever the length and the blocks, joins do not click and nothing is left over from another song."""

import dataclasses
import io

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from common import audio
from common.errors import UserError
from separation import inference
from separation.config import VARIANTS
from separation.models import build_model, for_inference

TINY = dataclasses.replace(VARIANTS["tiny"], sample_rate=8000, num_channels=1)
WINDOW, HOP = TINY.window_samples, TINY.window_hop


def trained_like(config, rng):
    """A network with weights at random: it changes what it hears."""
    model = build_model(config)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.2, variable.shape))
    return model


@pytest.fixture
def separator(rng):
    return for_inference(trained_like(TINY, rng), TINY)


@pytest.fixture
def halves():
    """A model whose stems are each half of the mixture."""
    config = dataclasses.replace(TINY, model="unet", width=2, depth=2, mask="softmax")
    model = build_model(config)
    for variable in model.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    return for_inference(model, config)


def plain(run=lambda windows: np.stack([0.25 * windows, 0.75 * windows], axis=1), **changes):
    """A separator over a function of plain numpy, at 1000 Hz."""
    values = {"stems": ("low", "high"), "sample_rate": 1000, "channels": 1, "window_samples": 40, "hop_samples": 30}
    return inference.StemSeparator(run, **values | changes)


def whole(separator, mixture):
    return separator.separate(mixture).waveforms


def in_blocks(waveform, size):
    return (waveform[start : start + size] for start in range(0, len(waveform), size))


def test_blocks_of_any_lengths_give_the_same_stems(separator, rng):
    mixture = rng.normal(0, 0.1, (30001, 1)).astype(np.float32)
    expected = whole(separator, mixture)
    for size in (100, 1984, 12345):
        found = np.concatenate(list(separator.stream(in_blocks(mixture, size))), axis=1)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sizes", [(1,), (7, 29, 3), (1000,)])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("hop", [11, 30, 40])
def test_blocks_of_any_lengths_and_batches_give_the_same_stems(sizes, batch_size, hop, rng):
    """A function that tells windows apart by all that they hold."""
    separator = plain(lambda windows: np.stack([windows, windows[:, ::-1] * windows.max()], axis=1), hop_samples=hop)
    # By their largest value windows of a batch are told apart: each is run alone.
    alone = dataclasses.replace(
        separator, run=lambda windows: np.concatenate([separator.run(one[None]) for one in windows])
    )
    mixture = rng.normal(size=(333, 2)).astype(np.float32)
    cuts = np.cumsum(np.resize(sizes, len(mixture)))
    blocks = np.split(mixture, cuts[cuts < len(mixture)])
    found = np.concatenate(list(alone.stream(blocks, batch_size=batch_size)), axis=1)
    np.testing.assert_array_equal(found, np.concatenate(list(alone.stream([mixture])), axis=1))


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("hop", [13, 40])
def test_stems_come_at_latest_a_window_later(batch_size, hop, rng):
    separator = plain(hop_samples=hop)
    given = taken = 0

    def sample_by_sample():
        nonlocal given
        for sample in rng.normal(size=(500, 1, 1)).astype(np.float32):
            assert given - taken <= separator.window_samples + (batch_size - 1) * hop
            given += 1
            yield sample

    for stems in separator.stream(sample_by_sample(), batch_size=batch_size):
        taken += stems.shape[1]
    assert taken == given == 500


def test_a_then_b_then_a_is_the_same_a(separator, rng):
    a, b = (rng.normal(0, level, (9000, 1)).astype(np.float32) for level in (0.1, 0.7))
    first, _, again = (whole(separator, song) for song in (a, b, a))
    np.testing.assert_array_equal(first, again)


def test_a_song_cut_on_the_grid_and_joined_is_the_whole(separator, rng):
    mixture = rng.normal(0, 0.1, (20 * HOP, 1)).astype(np.float32)
    expected = whole(separator, mixture)
    cut = 10 * HOP
    joined = np.concatenate([whole(separator, part) for part in (mixture[:cut], mixture[cut:])], axis=1)
    away = np.abs(np.arange(len(mixture)) - cut) > WINDOW
    np.testing.assert_allclose(joined[:, away], expected[:, away], atol=1e-6)


def test_joins_do_not_click(halves):
    times = np.arange(6 * HOP) / 8000
    tone = (0.5 * np.sin(2 * np.pi * 440 * times))[:, None].astype(np.float32)
    np.testing.assert_allclose(whole(halves, tone), np.stack([tone, tone]) / 2, atol=1e-5)
    assert not whole(halves, 0 * tone).any()


def test_weights_of_all_windows_sum_to_the_same_where_they_overlap():
    weights = inference.triangle(WINDOW, HOP)
    assert weights.min() > 0
    ramp = WINDOW - HOP
    np.testing.assert_allclose(weights[:ramp] + weights[-ramp:], 1, atol=1e-6)
    assert (inference.triangle(WINDOW, WINDOW) == 1).all()


def test_a_mono_model_takes_channels_one_by_one(separator, rng):
    stereo = rng.normal(0, 0.1, (5000, 2)).astype(np.float32)
    stems = whole(separator, stereo)
    assert stems.shape == (2, 5000, 2)
    for channel in range(2):
        alone = whole(separator, stereo[:, channel])
        np.testing.assert_allclose(stems[:, :, channel], alone[:, :, 0], atol=1e-6)


def test_a_stereo_model_takes_mono_on_both_sides(rng):
    config = dataclasses.replace(TINY, num_channels=2)
    separator = for_inference(trained_like(config, rng), config)
    mono = rng.normal(0, 0.1, (5000, 1)).astype(np.float32)
    both = whole(separator, np.repeat(mono, 2, axis=1))
    np.testing.assert_allclose(whole(separator, mono), both.mean(axis=2, keepdims=True), atol=1e-6)


@pytest.mark.parametrize(("model_rate", "rate"), [(8000, 8000), (8000, 1000), (8000, 44100), (44100, 8000)])
@pytest.mark.parametrize("length", [2, 100, 12347])
@pytest.mark.parametrize("channels", [1, 2])
def test_stems_have_the_songs_own_rate_length_and_channels(model_rate, rate, length, channels, rng):
    separator = plain(sample_rate=model_rate)
    song = rng.normal(0, 0.1, (length, channels)).astype(np.float32)
    stems = separator.separate(song, rate)
    assert stems.sample_rate == rate and stems.names == tuple(stems) == ("low", "high") and len(stems) == 2
    for stem in stems.values():
        assert stem.shape == song.shape and stem.dtype == np.float32
    if rate == model_rate:
        np.testing.assert_allclose(stems["high"], 0.75 * song, atol=1e-6)


def test_what_lies_below_half_the_models_rate_comes_back(rng):
    times = np.arange(44100) / 44100
    tone = 0.5 * np.sin(2 * np.pi * 440 * times)
    stems = plain(sample_rate=8000).separate(tone, 44100)
    inside = slice(2000, -2000)
    np.testing.assert_allclose(stems["low"][inside, 0], 0.25 * tone[inside], atol=1e-3)


def test_paths_file_objects_and_waveforms_are_songs_alike(tmp_path, rng):
    separator = plain(sample_rate=8000)
    samples = rng.integers(-20000, 20000, (4321, 2)).astype(np.int16)
    path = tmp_path / "song.wav"
    soundfile.write(path, samples, 11025)
    expected = separator.separate(path)
    assert expected.sample_rate == 11025 and expected["low"].shape == (4321, 2)
    for source in (samples, samples / 2**15, (samples / 2**15).astype(np.float32)):
        np.testing.assert_array_equal(separator.separate(source, 11025).waveforms, expected.waveforms)
    np.testing.assert_array_equal(separator.separate(io.BytesIO(path.read_bytes())).waveforms, expected.waveforms)
    np.testing.assert_array_equal(separator.separate(str(path)).waveforms, expected.waveforms)


def test_stems_are_saved_and_say_what_they_are(tmp_path, rng):
    separator = plain()
    stems = separator.separate(0.5 * rng.uniform(-1, 1, (1500, 2)))
    assert repr(separator) == "StemSeparator(low, high; 1000 Hz, mono)"
    assert repr(stems) == "Stems(low, high; 1.50 s, 1000 Hz, 2 channels)"
    paths = stems.save(tmp_path / "stems", "flac")
    assert [path.name for path in paths] == ["low.flac", "high.flac"]
    written, rate = audio.read(paths[1], mono=False)
    assert rate == 1000
    np.testing.assert_allclose(written, stems["high"], atol=1e-4)
    with pytest.raises(KeyError, match="'mid'; the stems are low, high"):
        stems["mid"]


@pytest.mark.parametrize(
    ("source", "rate", "line"),
    [
        (np.zeros((9, 6)), None, "the song has 6 channels, expected one or two"),
        (np.zeros(0), None, "the waveform has no samples"),
        (np.array([0.1, np.nan]), None, "contains NaN or infinite samples"),
        (np.zeros(9, np.int64), None, "samples of type int64"),
        (np.zeros(9), 12.5, "sample_rate: expected a whole number"),
        ("song.wav", 8000, "sample_rate is only for waveforms in memory"),
        ("nowhere.wav", None, "nowhere.wav does not exist"),
        ([0.1, 0.2], None, "expected a path, a binary file or a NumPy waveform, got list"),
    ],
)
def test_what_is_no_song(source, rate, line):
    with pytest.raises(UserError, match=line):
        plain(channels=2).separate(source, rate)


def test_consistent_stems_sum_to_the_mixture(rng):
    stems, mixture = rng.normal(size=(3, 50, 2)), rng.normal(size=(50, 2))
    np.testing.assert_allclose(inference.make_consistent(stems, mixture).sum(axis=0), mixture, atol=1e-12)


def test_nothing_is_separated_into_nothing():
    assert list(plain().stream([])) == list(plain().stream([np.zeros((0, 2), np.float32)])) == []

"""Copies are found against naive references, and against real recordings."""

import itertools

import numpy as np
import pytest
import scipy.ndimage
import soundfile

from common.errors import UserError
from common.features import spectral
from generation import replays

RATE, SAMPLES = 22_050, 132_300


def naive_nearest(excerpt, training, slow_frames):
    """The largest correlation of either half with any stretch as long, one offset at a time."""
    halves = len(excerpt) // 2
    changed = replays._local_changes(excerpt, slow_frames)
    best = -1
    for recording in training:
        other = replays._local_changes(recording, slow_frames)
        for half, start in itertools.product((changed[:halves], changed[-halves:]), range(len(other) - halves + 1)):
            window = other[start : start + halves]
            best = max(best, (half * window).sum() / np.linalg.norm(half) / np.linalg.norm(window))
    return 1 - best


def test_nearest_distances_are_those_of_every_offset(rng):
    training = [10 * rng.normal(size=(frames, 5)) for frames in (150, 48, 97)]
    generated = 10 * rng.normal(size=(4, 60, 5))
    generated[1, 5:50] = training[0][80:125]
    generated[2, 30:] = training[2][67:]
    expected = [naive_nearest(excerpt, training, 5) for excerpt in generated]
    # Rounding in float32, and the RMS of 0.1 dB that stands for silence.
    np.testing.assert_allclose(replays.nearest_distances(generated, training), expected, atol=2e-3)


def test_every_start_in_a_long_recording_is_found(rng):
    recording = rng.normal(size=(1000, 8)).astype(np.float32) * 5
    generated = np.stack([recording[start : start + 64] for start in range(0, 937, 13)] + [recording[-64:]])
    assert replays.nearest_distances(generated, [recording]).max() < 0.15
    assert replays.nearest_distances(generated[:2] - 9, [recording]) == pytest.approx(
        replays.nearest_distances(generated[:2], [recording]), abs=1e-4
    )


def test_what_does_not_move_resembles_nothing():
    still = np.zeros((2, 60, 8))
    assert replays.nearest_distances(still, still) == pytest.approx([1, 1])


def test_spectrograms_that_cannot_be_compared_are_refused(rng):
    excerpts = rng.normal(size=(3, 60, 8))
    with pytest.raises(UserError, match="half an excerpt, and 8 bands"):
        replays.nearest_distances(excerpts, excerpts[:, :, :7])
    with pytest.raises(UserError, match="expected at least 30 frames"):
        replays.nearest_distances(excerpts, excerpts[:, :29])
    with pytest.raises(UserError, match="received no training"):
        replays.nearest_distances(excerpts, [])
    with pytest.raises(UserError, match="expected .frames, bands."):
        replays.nearest_distances(excerpts[0], excerpts)
    excerpts[1, 2, 3] = np.nan
    with pytest.raises(UserError, match="training spectrograms contain NaN"):
        replays.nearest_distances(excerpts[:1], excerpts)


def decibels(waveforms):
    power = spectral.mel_spectrogram(waveforms, RATE, 64, n_fft=400, hop_length=200)
    return spectral.power_to_db(power, top_db=None).numpy()


@pytest.fixture(scope="module")
def tracks(real_data):
    """Five tracks of training and four others, of both genres."""
    if not (real_data / "gtzan").is_dir():
        pytest.skip(f"no GTZAN at {real_data}")
    paths = sorted((real_data / "gtzan").rglob("*.wav"))
    return [soundfile.read(path, dtype="float32")[0] for path in (*paths[:5], *paths[7:11])]


@pytest.fixture(scope="module")
def training(tracks):
    return [decibels(tracks[number][None])[0] for number in (0, 1, 2, 5, 6)]


@pytest.fixture(scope="module")
def held_out(tracks):
    return decibels(np.stack([tracks[n][start : start + SAMPLES] for n in (3, 4, 7, 8) for start in (0, 80_000)]))


@pytest.fixture(scope="module")
def copies(tracks):
    """Excerpts of training tracks that begin between frames."""
    rng = np.random.default_rng(5)
    starts = [(n, rng.integers(len(tracks[n]) - SAMPLES)) for n in (0, 1, 2, 5, 6) for _ in range(2)]
    return np.stack([tracks[n][start : start + SAMPLES] for n, start in starts])


def share(generated, training, held_out):
    return replays.share_of_copies(
        *(replays.nearest_distances(excerpts, training) for excerpts in (generated, held_out))
    )


def test_replays_of_real_recordings_are_found(training, held_out, copies):
    rng = np.random.default_rng(6)
    noise = rng.normal(size=copies.shape) * copies.std(axis=1, keepdims=True)
    spectrograms = decibels(copies)
    changed = {
        "as they are": spectrograms,
        "-10 dB": decibels(0.3 * copies),
        "noise at -16 dB": decibels(copies + 0.15 * noise),
        "3 dB of noise": spectrograms + rng.normal(0, 3, spectrograms.shape),
    }
    # At most one of the noisy forty may pass.
    assert share(np.concatenate(list(changed.values())), training, held_out) >= 0.975
    # One copy among other music is a share.
    assert share(np.concatenate([spectrograms[:1], held_out[1:4]]), training, held_out) == 0.25


def test_excerpts_that_follow_each_other_serve_as_training(training, held_out, copies):
    cut = [track[start : start + 662] for track in training for start in range(0, len(track) - 661, 662)]
    spectrograms = decibels(copies)
    whole, parts = (replays.nearest_distances(spectrograms, choice) for choice in (training, np.stack(cut)))
    assert (parts >= whole - 0.05).all()
    # Only what begins after the last of them is not there to be found.
    assert share(spectrograms, np.stack(cut), held_out) >= 0.7


def test_other_music_and_poor_fakes_are_no_replays(tracks, training, held_out):
    rng = np.random.default_rng(7)
    smooth = scipy.ndimage.gaussian_filter(rng.normal(size=(4, 662, 64)), (0, 8, 4))
    beats = scipy.ndimage.gaussian_filter1d(rng.normal(size=(4, 662, 1)), 8, axis=1)
    some = held_out[::2]
    mean = some.mean(axis=(0, 1))
    fakes = {
        "other crops": decibels(np.stack([tracks[n][40_000 : 40_000 + SAMPLES] for n in (3, 4, 7, 8)])),
        "blurred in time": scipy.ndimage.gaussian_filter1d(some, 8, axis=1),
        "blurred in both": scipy.ndimage.gaussian_filter(some, (0, 6, 3)),
        "noisy": some + rng.normal(0, 6, some.shape),
        "white": mean + rng.normal(0, 6, some.shape),
        "smooth": mean + 6 * smooth / smooth.std(),
        "beats": mean + 6 * np.repeat(beats / beats.std(), 64, axis=2),
        "mean spectrum": np.broadcast_to(mean, some.shape),
    }
    assert share(np.concatenate(list(fakes.values())), training, held_out) == 0

"""The texture embedding: its features against naive sums, what they react to, and what they forget."""

import io
import time

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import scipy.signal
import scipy.stats
import soundfile

from common.errors import UserError
from common.features import spectral
from generation import metrics
from generation.embedding import NUM_COMPONENTS, TextureEmbedding, texture_features

RATE, HOP = 22_050, 200
FRAMES, BANDS = 662, 64


def textures(rng, num_excerpts, frames=FRAMES, bands=BANDS):
    """Excerpts with onsets at random tempi, louder below, on noise."""
    found = []
    for _ in range(num_excerpts):
        period, start = rng.integers(12, 40), rng.integers(12)
        clicks = np.zeros((frames, 1))
        clicks[start::period] = 1
        decay = scipy.signal.lfilter([1], [1, -rng.uniform(0.6, 0.9)], clicks, axis=0)
        found.append(
            25 * decay * rng.uniform(0.5, 1, bands) - np.linspace(0, 30, bands) + rng.normal(0, 3, (frames, bands))
        )
    return np.stack(found).astype(np.float32)


@pytest.fixture(scope="module")
def excerpts():
    return textures(np.random.default_rng(1), 24)


def features(spectrograms):
    return texture_features(spectrograms, RATE, HOP)


def test_features_equal_naive_sums(excerpts):
    found = features(excerpts[:1])[0]
    assert found.shape == (65,) and found.dtype == np.float64
    spectrogram = excerpts[0].astype(np.float64)
    deviations = spectrogram - spectrogram.mean(axis=0)
    np.testing.assert_allclose(found[:8], spectrogram.mean(axis=0).reshape(8, 8).mean(axis=1), atol=1e-4)

    window = np.hanning(FRAMES + 2)[1:-1, None]
    cepstra = scipy.fft.dct(deviations, norm="ortho", axis=1) * window
    length = scipy.fft.next_fast_len(FRAMES, real=True)
    power = np.abs(np.fft.rfft(cepstra, length, axis=0)) ** 2
    scale = 2 / (length * BANDS * np.square(window).sum())
    rates = np.arange(len(power)) / length
    expected = []
    for octave in range(7, 0, -1):
        inside = (rates >= 2.0 ** -(octave + 1)) & (rates < 2.0**-octave)
        for low, high in ((0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 64)):
            expected.append(np.sqrt(power[inside, low:high].sum() * scale))
    np.testing.assert_allclose(found[8:57], expected, rtol=1e-3)

    groups = deviations.reshape(FRAMES, 8, 8).mean(axis=2)
    changes = groups[4:] - groups[:-4]
    skewness = scipy.stats.skew(changes) * (changes.var(axis=0) / (changes.var(axis=0) + 0.25)) ** 1.5
    np.testing.assert_allclose(found[57:], np.cbrt(skewness), rtol=1e-3)


def test_depths_are_in_decibels_where_the_modulation_is():
    time_s = np.arange(FRAMES) * HOP / RATE
    wave = np.sqrt(2) * 3 * np.sin(2 * np.pi * 5 * time_s)
    ripples = np.sqrt(2) * np.cos(np.pi * 12 * (np.arange(BANDS) + 0.5) / BANDS)
    # Octaves of rate begin at 0.43, 0.86, 1.7, 3.4, 6.9 Hz; those of scale at 0, 1, 2, 4, 8 half cycles.
    for pattern, scale in ((np.ones(BANDS), 0), (ripples, 4)):
        depths = features((wave[:, None] * pattern - 30)[None])[0, 8:57].reshape(7, 7)
        assert depths[3, scale] == pytest.approx(3, rel=0.02)
        depths[3, scale] = 0
        assert depths.max() < 0.1


def test_only_the_means_hear_a_gain(excerpts):
    before, after = features(excerpts), features(excerpts + 6)
    np.testing.assert_allclose(after[:, :8] - before[:, :8], 6, atol=1e-4)
    np.testing.assert_allclose(after[:, 8:], before[:, 8:], atol=2e-3)


def test_only_the_skewness_hears_which_way_time_runs(excerpts):
    before, after = features(excerpts), features(excerpts[:, ::-1])
    np.testing.assert_allclose(after[:, :57], before[:, :57], atol=2e-3)
    np.testing.assert_allclose(after[:, 57:], -before[:, 57:], atol=2e-3)
    assert before[:, 57:].min() > 0.5


def test_what_lies_80_db_below_the_loudest_does_not_count(excerpts):
    quiet = excerpts.copy()
    quiet[:, ::7, 40] = -300
    quieter = np.where(quiet == -300, -1000, quiet)
    np.testing.assert_array_equal(features(quiet), features(quieter))


@pytest.mark.parametrize("value", [-100.0, 0.0])
def test_silence_has_features(value):
    found = features(np.full((2, FRAMES, BANDS), value, np.float32))
    np.testing.assert_allclose(found[:, :8], value, rtol=1e-5)
    np.testing.assert_allclose(found[:, 8:], 0, atol=1e-2)


def test_an_excerpt_is_embedded_alone_as_in_any_batch(excerpts):
    many = np.concatenate([excerpts] * 3)
    np.testing.assert_allclose(features(many)[66], features(excerpts[18:19])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("frames", "bands"), [(16, 8), (100, 40), (3000, 80)])
def test_other_sizes_have_features_too(rng, frames, bands):
    found = features(textures(rng, 3, frames, bands))
    assert np.isfinite(found).all() and (found.std(axis=0) > 0).all()


def test_the_reference_has_a_variance_below_one_and_components_descend(excerpts):
    embedding = TextureEmbedding.fit(excerpts, RATE, HOP)
    embedded = embedding(excerpts)
    assert embedded.shape == (24, NUM_COMPONENTS) and embedded.dtype == np.float64
    np.testing.assert_allclose(embedded.mean(axis=0), 0, atol=1e-9)
    variances = embedded.var(axis=0)
    assert (np.diff(variances) <= 0).all() and 0.2 < variances.sum() <= 1
    covariance = np.cov(embedded.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)


def test_components_are_no_more_than_the_excerpts_tell(excerpts):
    assert TextureEmbedding.fit(excerpts[:5], RATE, HOP)(excerpts).shape == (24, 4)
    assert TextureEmbedding.fit(excerpts, RATE, HOP, num_components=3)(excerpts).shape == (24, 3)


def test_an_embedding_is_stored_and_read(excerpts):
    embedding = TextureEmbedding.fit(excerpts, RATE, HOP)
    file = io.BytesIO()
    np.savez(file, **embedding.to_arrays())
    file.seek(0)
    with np.load(file) as arrays:
        read = TextureEmbedding.from_arrays(arrays)
    assert (read.sample_rate, read.hop_length) == (RATE, HOP)
    np.testing.assert_array_equal(read(excerpts[:3]), embedding(excerpts[:3]))


def test_256_excerpts_take_less_than_two_seconds_of_one_core(excerpts):
    embedding = TextureEmbedding.fit(excerpts, RATE, HOP)
    many = np.concatenate([excerpts] * 11)[:256]
    begin = time.process_time()
    embedding(many)
    assert time.process_time() - begin < 2


def test_what_cannot_be_embedded_is_refused(excerpts):
    embedding = TextureEmbedding.fit(excerpts, RATE, HOP)
    with pytest.raises(UserError, match="expected .batch, frames, bands."):
        features(excerpts[0])
    with pytest.raises(UserError, match="16 frames and 8 bands"):
        features(excerpts[:, :15])
    with pytest.raises(UserError, match="16 frames and 8 bands"):
        features(excerpts[..., :7])
    with pytest.raises(UserError, match="no spectrograms"):
        features(excerpts[:0])
    for value in (np.nan, np.inf):
        broken = excerpts.copy()
        broken[3, 4, 5] = value
        with pytest.raises(UserError, match="NaN or infinite"):
            embedding(broken)
    with pytest.raises(UserError, match="expected excerpts of the same length"):
        embedding(excerpts[:, :50])
    with pytest.raises(UserError, match="received 1 excerpts"):
        TextureEmbedding.fit(excerpts[:1], RATE, HOP)
    with pytest.raises(UserError, match="all reference excerpts are equal"):
        TextureEmbedding.fit(np.repeat(excerpts[:1], 4, axis=0), RATE, HOP)


@pytest.fixture(scope="module")
def tracks(real_data):
    """Crops of seven tracks, and of seven others, of both genres; shape `(2, crops, frames, bands)`."""
    if not (real_data / "gtzan").is_dir():
        pytest.skip(f"no GTZAN at {real_data}")
    rng, halves = np.random.default_rng(2), ([], [])
    for number, path in enumerate(sorted((real_data / "gtzan").rglob("*.wav"))):
        waveform, _ = soundfile.read(path, dtype="float32")
        starts = rng.integers(len(waveform) - 132_300, size=5)
        halves[number % 2].append(np.stack([waveform[start : start + 132_300] for start in starts]))
    waveforms = np.stack([np.concatenate(half) for half in halves])
    power = spectral.mel_spectrogram(waveforms, RATE, BANDS, n_fft=400, hop_length=HOP)
    return spectral.power_to_db(power, top_db=None).numpy()


def test_real_music_that_has_lost_its_time_is_far_from_other_music(tracks):
    rng = np.random.default_rng(3)

    def reduced(crops):
        small = scipy.ndimage.zoom(scipy.ndimage.gaussian_filter(crops, (0, 10, 1)), (1, 32 / FRAMES, 0.5), order=1)
        return scipy.ndimage.zoom(small, (1, FRAMES / 32, 2), order=1)

    for reference, others in (tracks, tracks[::-1]):
        embedding = TextureEmbedding.fit(reference, RATE, HOP)
        target = embedding(reference)

        def distance(spectrograms, embedding=embedding, target=target):
            return metrics.frechet_distance(target, embedding(spectrograms))

        floor = distance(others)
        assert distance(reduced(others)) > 5 * floor
        assert distance(others[:, rng.permutation(FRAMES)]) > 5 * floor
        assert distance(others[:, ::-1]) > 2 * floor
        assert distance(np.repeat(others[:1], 30, axis=0)) > 2 * floor
        assert distance(others + 2) < 1.5 * floor

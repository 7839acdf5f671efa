import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from common.features import spectral
from separation import losses, metrics
from separation.config import VARIANTS

CONFIG = dataclasses.replace(
    VARIANTS["tiny"], sample_rate=8000, num_channels=1, n_fft=256, hop_length=64, num_frames=64
)


@pytest.fixture
def truth(rng):
    return rng.normal(0, 0.1, (3, 2, CONFIG.window_samples, 1)).astype(np.float32)


def outputs(stems):
    spectrum = spectral.stft(tf.transpose(stems, [0, 1, 3, 2]), CONFIG.n_fft, CONFIG.hop_length)
    return {"stems": stems, "spectra": tf.stack([tf.math.real(spectrum), tf.math.imag(spectrum)], axis=3)}


@pytest.mark.parametrize("name", ["magnitude_l1", "waveform_l1", "multi_stft"])
def test_distances_are_zero_at_the_truth_and_grow_with_the_error(truth, rng, name):
    loss = losses.FUNCTIONS[name]
    noise = rng.normal(0, 0.01, truth.shape).astype(np.float32)
    values = [float(loss(CONFIG, truth, outputs(truth + scale * noise))) for scale in (0, 1, 2)]
    assert values[0] < 1e-6 < values[1] < values[2]


def test_the_distances_are_what_they_say(truth):
    estimate = 0.5 * truth
    assert float(losses.waveform_l1(CONFIG, truth, outputs(estimate))) == pytest.approx(
        np.abs(truth).mean() / 2, rel=1e-4
    )
    magnitudes = np.abs(spectral.stft(truth[..., 0], CONFIG.n_fft, CONFIG.hop_length))
    assert float(losses.magnitude_l1(CONFIG, truth, outputs(estimate))) == pytest.approx(
        magnitudes.mean() / CONFIG.n_fft, rel=1e-3
    )


def noisy(truth, rng, amplitude):
    """What was added has no part of the stem, so that the level is right."""
    estimate = truth + rng.normal(0, amplitude, truth.shape).astype(np.float32)
    return estimate / ((truth * estimate).sum(axis=2) / (truth**2).sum(axis=2))[:, :, None]


def test_si_sdr_is_the_metrics_with_at_most_30_db(truth, rng):
    estimate = noisy(truth, rng, 0.05)
    ratios = 10 ** (
        np.array([metrics.si_sdr(one, other, zero_mean=False) for one, other in zip(truth, estimate, strict=True)]) / 10
    )
    expected = np.log10((1 + 1e-3) / (1 / ratios + 1e-3)).mean()
    assert float(losses.si_sdr(CONFIG, truth, outputs(estimate))) == pytest.approx(-expected, rel=1e-3)
    assert float(losses.si_sdr(CONFIG, truth, outputs(truth))) == pytest.approx(-3, abs=1e-2)


def test_si_sdr_sees_level_and_sign(truth, rng):
    estimate = noisy(truth, rng, 0.05)
    right = float(losses.si_sdr(CONFIG, truth, outputs(estimate)))
    assert float(losses.si_sdr(CONFIG, truth, outputs(1.5 * estimate))) == pytest.approx(right + 0.25, abs=0.03)
    # Four by the level, and of what is heard nothing is the stem's.
    wrong = 4 - np.log10(1e-3 / 1.25)
    assert float(losses.si_sdr(CONFIG, truth, outputs(-estimate))) == pytest.approx(wrong, abs=0.03)


@pytest.mark.slow
def test_si_sdr_makes_a_faint_stem_that_is_upside_down_louder_and_turns_it(truth, rng):
    estimate = tf.Variable(-0.01 * noisy(truth, rng, 0.05))
    optimizer = keras.optimizers.Adam(1e-3)
    for _ in range(200):
        with tf.GradientTape() as tape:
            loss = losses.si_sdr(CONFIG, truth, outputs(estimate))
        optimizer.apply(tape.gradient(loss, [estimate]), [estimate])
    scales = (truth * estimate).numpy().sum(axis=2) / (truth**2).sum(axis=2)
    assert scales.min() > 0.5


def test_silent_stems_do_not_count_for_si_sdr(truth):
    silent = truth.copy()
    silent[:, 1] = 0
    estimate = truth + 0.01
    only = losses.si_sdr(CONFIG, truth[:, :1], outputs(estimate[:, :1]))
    np.testing.assert_allclose(losses.si_sdr(CONFIG, silent, outputs(estimate)), only, rtol=1e-4)
    assert float(losses.si_sdr(CONFIG, 0 * truth, outputs(estimate))) == 0


def test_cross_entropy_is_with_the_ideal_binary_mask(truth):
    quieter = truth * np.array([1.0, 0.5], np.float32)[None, :, None, None]
    magnitudes = losses.stem_magnitudes(CONFIG, quieter).numpy()
    ideal = losses.ideal_binary_masks(magnitudes).numpy()
    np.testing.assert_array_equal(ideal.sum(axis=1), 1)
    np.testing.assert_array_equal(ideal[:, 0] == 1, magnitudes[:, 0] > magnitudes[:, 1])
    right = {"masks": tf.constant(ideal[..., :-1])}
    assert float(losses.bce(CONFIG, quieter, right)) < 1e-5
    unsure = {"masks": tf.fill(ideal[..., :-1].shape, 0.5)}
    assert float(losses.bce(CONFIG, quieter, unsure)) == pytest.approx(np.log(2), rel=1e-4)


@pytest.mark.parametrize("name", list(losses.FUNCTIONS))
def test_gradients_are_finite_in_silence(name):
    silence = tf.zeros((2, 2, CONFIG.window_samples, 1))
    variable = tf.Variable(silence)
    with tf.GradientTape() as tape:
        estimate = outputs(tf.convert_to_tensor(variable))
        estimate["masks"] = tf.sigmoid(estimate["spectra"][:, :, :, 0, :, :-1])
        loss = losses.FUNCTIONS[name](CONFIG, silence, estimate)
    assert np.isfinite(loss)
    gradient = tape.gradient(loss, variable)
    assert gradient is None or np.isfinite(gradient).all()

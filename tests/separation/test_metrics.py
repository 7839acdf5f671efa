"""BSSEval is held against museval 0.4.1, whose metrics.py calculates as that of 0.4.0 does.

GOLDENS were printed, rounded to 4 decimals, by the following in a folder with museval's metrics.py, which needs no
ffmpeg when it is imported by itself (numpy 2.4.6, scipy 1.17.1):

    PYTHONPATH=.:/path/to/quartet python -c "
    import metrics; from tests.separation import test_metrics as t
    for name, case in t.CASES.items():
        r, e = t.signals(case); w, h = case.window, case.hop or case.window
        print(name, [x.round(4).tolist() for x in metrics.bss_eval(r, e, w, h, filters_len=case.filter_length)[:4]])"
"""

from typing import NamedTuple

import numpy as np
import pytest

from separation import metrics
from tests.errors import refused

NAN = float("nan")


class Case(NamedTuple):
    """Signals that can be made again anywhere, and how they are evaluated."""

    num_sources: int
    num_channels: int
    num_samples: int
    window: int = 1000
    hop: int | None = None
    filter_length: int = 64
    silent_reference: tuple = ()
    silent_estimate: tuple = ()


CASES = {
    "mono": Case(2, 1, 2500, filter_length=512),
    "stereo": Case(2, 2, 2000, filter_length=512),
    "overlapping": Case(2, 2, 2700, hop=500),
    "four": Case(4, 2, 2000),
    "short": Case(2, 2, 600),
    "silent reference": Case(2, 1, 3000, silent_reference=(1, slice(1000, 2000))),
    "silent estimate": Case(3, 2, 3000, silent_estimate=(0, slice(2000, 3000))),
    "one channel": Case(2, 2, 2000, silent_reference=(0, slice(None), 1)),
}
# SDR, ISR, SIR and SAR in dB, of every source by frames.
GOLDENS = {
    "mono": [
        [[9.6379, 9.7434], [9.0452, 9.0164]],
        [[12.894, 13.1875], [12.9485, 12.6782]],
        [[12.4641, 12.6583], [12.3921, 12.1138]],
        [[22.6706, 22.6956], [17.1181, 17.0547]],
    ],
    "stereo": [
        [[9.3175, 8.8999], [8.4354, 8.6816]],
        [[10.771, 10.597], [10.4592, 10.4531]],
        [[12.6247, 12.3677], [11.5856, 11.7487]],
        [[22.4932, 22.2493], [17.0641, 16.7279]],
    ],
    "overlapping": [
        [[8.8688, 8.9504, 8.9736, 9.0913], [8.4147, 8.3021, 8.3228, 8.3954]],
        [[12.0191, 12.0265, 12.058, 12.1358], [12.3023, 12.1305, 12.1016, 12.2581]],
        [[11.8193, 11.8249, 11.5835, 11.8549], [11.5711, 11.5088, 11.591, 11.3307]],
        [[21.8048, 21.8343, 21.7123, 21.5659], [16.0243, 15.9797, 15.7561, 15.7997]],
    ],
    "four": [
        [[9.0425, 9.1982], [8.2851, 8.421], [7.5503, 7.3428], [6.4603, 6.1462]],
        [[12.2559, 12.3228], [12.1681, 11.9523], [11.9514, 12.0074], [11.7383, 11.6643]],
        [[11.7157, 11.7425], [11.3313, 11.4416], [10.9815, 10.9295], [10.6831, 10.2556]],
        [[22.6279, 22.1876], [17.028, 16.4166], [13.0328, 13.063], [10.7031, 10.5426]],
    ],
    "short": [
        [[8.7143], [8.6115]],
        [[11.2012], [11.4668]],
        [[12.1943], [12.4561]],
        [[23.0363], [17.9095]],
    ],
    "silent reference": [
        [[9.2791, NAN, 9.6073], [9.3298, NAN, 8.8953]],
        [[13.7192, NAN, 13.7232], [13.9643, NAN, 13.8543]],
        [[12.1663, NAN, 12.2719], [12.8137, NAN, 12.681]],
        [[21.9995, NAN, 21.8449], [16.332, NAN, 16.4732]],
    ],
    "silent estimate": [
        [[9.1052, 9.0225, NAN], [8.6041, 8.3148, NAN], [7.3193, 7.4234, NAN]],
        [[7.6201, 7.4776, NAN], [12.4358, 12.6758, NAN], [11.9896, 11.8388, NAN]],
        [[9.8082, 9.5484, NAN], [11.7086, 11.5644, NAN], [11.1667, 11.0691, NAN]],
        [[6.5506, 6.2415, NAN], [16.1764, 15.933, NAN], [12.5487, 12.4109, NAN]],
    ],
    "one channel": [
        [[7.3982, 6.9378], [9.4695, 9.5752]],
        [[12.5024, 12.2085], [12.3905, 12.1089]],
        [[8.7246, 8.3975], [14.7435, 14.9056]],
        [[19.2211, 18.8954], [15.8646, 15.9089]],
    ],
}


def signals(case):
    """Coloured sources that share something, and estimates with filtering, crosstalk, interference and noise."""
    rng = np.random.default_rng(0)
    own = rng.uniform(-0.5, 0.5, (case.num_sources, case.num_samples + 2, case.num_channels))
    shared = rng.uniform(-0.5, 0.5, (case.num_samples, case.num_channels))
    noise = rng.uniform(-0.5, 0.5, (case.num_sources, case.num_samples, case.num_channels))
    references = own[:, 2:] + 0.6 * own[:, 1:-1] - 0.2 * own[:, :-2] + 0.3 * shared
    if case.silent_reference:
        references[case.silent_reference] = 0
    estimates = 0.9 * references + 0.2 * np.roll(references, 5, axis=1) + 0.1 * references[..., ::-1]
    estimates += 0.25 * np.roll(references, 1, axis=0) + 0.1 * noise * np.arange(1, case.num_sources + 1)[:, None, None]
    if case.silent_estimate:
        estimates[case.silent_estimate] = 0
    return references, estimates


@pytest.mark.parametrize("name", CASES)
def test_bss_eval_gives_musevals_figures(name):
    case = CASES[name]
    found = metrics.bss_eval(*signals(case), case.window, case.hop, case.filter_length)
    np.testing.assert_allclose(found, GOLDENS[name], atol=1e-3)


@pytest.mark.parametrize("name", CASES)
def test_sdr_alone_is_that_of_bss_eval(name):
    case = CASES[name]
    references, estimates = signals(case)
    found = metrics.sdr(references, estimates, case.window, case.hop)
    np.testing.assert_allclose(found, metrics.bss_eval(references, estimates, case.window, case.hop, 8).sdr, atol=1e-9)


def test_bss_eval_has_museval_s_length_of_filters_unless_told_otherwise():
    references, estimates = signals(CASES["mono"])
    np.testing.assert_allclose(metrics.bss_eval(references, estimates, 1000), GOLDENS["mono"], atol=1e-3)


def test_correlations_over_blocks_are_those_of_the_whole_track(monkeypatch):
    case = CASES["overlapping"]
    monkeypatch.setattr(metrics, "_BLOCK_SAMPLES", 300)
    found = metrics.bss_eval(*signals(case), case.window, case.hop, case.filter_length)
    np.testing.assert_allclose(found, GOLDENS["overlapping"], atol=1e-3)


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_integers_and_single_precision_are_calculated_in_double(kind):
    rng = np.random.default_rng(0)
    pair = [rng.integers(-(2**15), 2**15, (2, 500, 2)).astype(kind) for _ in range(2)]
    in_double = [signals.astype(np.float64) for signals in pair]
    scores = (metrics.usdr, metrics.si_sdr, lambda *pair: metrics.sdr(*pair, 250))
    for score in (*scores, lambda *pair: metrics.bss_eval(*pair, 250, None, 8)):
        np.testing.assert_allclose(score(*pair), score(*in_double), atol=1e-9)


def test_each_kind_of_error_lowers_its_own_ratio():
    references, _ = signals(CASES["stereo"])
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, references.shape)
    of = {
        "isr": 0.5 * references + 1e-3 * references[::-1] + 1e-3 * noise,
        "sir": references + 0.3 * references[::-1] + 1e-3 * noise,
        "sar": references + 1e-3 * references[::-1] + 0.3 * noise,
    }
    for worst, estimates in of.items():
        found = metrics.bss_eval(references, estimates, 2000, None, 8).median()._asdict()
        others = [found[name].min() for name in of if name != worst]
        assert found[worst].max() + 5 < min(others), worst
        assert found["sdr"] == pytest.approx(found[worst], abs=1.5)


@pytest.mark.filterwarnings("error")
def test_the_median_leaves_out_frames_that_are_nan():
    of_source = [NAN, 1.0, 5.0, 2.0, np.inf]
    frames = np.array([of_source, [NAN] * 5])
    np.testing.assert_equal(metrics.frame_median(frames), [3.5, NAN])
    found = metrics.BssEval(frames, frames + 1, frames + 2, frames + 3).median()
    np.testing.assert_equal([ratio[0] for ratio in found], [3.5, 4.5, 5.5, 6.5])


def test_no_permutation_is_sought():
    references, estimates = signals(CASES["stereo"])
    swapped = estimates[::-1]
    assert (metrics.bss_eval(references, swapped, 2000, None, 8).sir < 0).all()
    for score in (metrics.usdr, metrics.si_sdr, lambda *pair: metrics.sdr(*pair, 2000)[:, 0]):
        assert (score(references, estimates) > 5).all()
        assert (score(references, swapped) < 0).all()


@pytest.mark.parametrize("which", ["reference", "estimate"])
def test_a_source_that_is_silent_throughout_is_nan_and_no_error(which):
    references, estimates = signals(CASES["four"])
    (references if which == "reference" else estimates)[2] = 0
    found = metrics.bss_eval(references, estimates, 1000, None, 8)
    assert np.isnan(found).all()
    assert found.sdr.shape == (4, 2)
    assert np.isnan(found.median()).all()
    assert np.isnan(metrics.sdr(references, estimates, 1000)).all()


def test_channels_that_cancel_each_other_are_not_silent():
    references, estimates = signals(CASES["stereo"])
    estimates[0, :, 1] = -estimates[0, :, 0]
    assert np.isfinite(metrics.bss_eval(references, estimates, 1000, None, 8)).all()
    assert np.isfinite(metrics.sdr(references, estimates, 1000)).all()


def test_a_level_changes_nothing_if_all_signals_share_it():
    references, estimates = signals(CASES["one channel"])
    expected = metrics.bss_eval(references, estimates, 1000, None, 16)
    for level in (1e-6, 1e3):
        found = metrics.bss_eval(level * references, level * estimates, 1000, None, 16)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_wrong_level_costs_sdr_and_isr_but_neither_sir_nor_sar():
    references, estimates = signals(CASES["stereo"])
    before = metrics.bss_eval(references, estimates, 1000, None, 16)
    after = metrics.bss_eval(references, 0.25 * estimates, 1000, None, 16)
    np.testing.assert_allclose(after[2:], before[2:], atol=1e-6)
    assert (after.sdr < before.sdr - 3).all()
    assert (after.isr < before.isr - 3).all()


def test_a_silent_channel_is_no_reason_to_regularise(monkeypatch):
    monkeypatch.setattr(metrics, "_REGULARISATION", 1.0)
    case = CASES["one channel"]
    found = metrics.bss_eval(*signals(case), case.window, case.hop, case.filter_length)
    np.testing.assert_allclose(found, GOLDENS["one channel"], atol=1e-3)


def test_copies_among_the_references_are_counted_as_one():
    """Mono material on both channels, where museval's figures are those of its rounding."""
    references, estimates = signals(CASES["stereo"])
    references[..., 1] = references[..., 0]
    mono, guess = references[..., :1], estimates.mean(axis=2, keepdims=True)
    expected = metrics.bss_eval(mono, guess, 1000, None, 64)
    found = metrics.bss_eval(references, np.repeat(guess, 2, axis=2), 1000, None, 64)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_quiet_source_does_not_pass_for_a_copy():
    references, estimates = signals(CASES["stereo"])
    expected = metrics.bss_eval(references, estimates, 1000, None, 64)
    references[1], estimates[1] = 1e-9 * references[1], 1e-9 * estimates[1]
    found = metrics.bss_eval(references, estimates, 1000, None, 64)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_rounding_does_not_move_the_figures_of_ideally_band_limited_sources():
    """Where no reference has energy the filters are not unique; without regularisation ISR moves by tens of dB."""
    spectra = np.fft.rfft(np.random.default_rng(0).uniform(-1, 1, (2, 4000)), axis=1)
    spectra[:, 500:] = 0
    references = (np.fft.irfft(spectra, 4000, axis=1) * np.hanning(4000))[..., None]
    estimates = references + 0.1 * references[::-1]
    found = metrics.bss_eval(references, estimates, 2000, None, 64)
    again = metrics.bss_eval(references / 3, estimates / 3, 2000, None, 64)
    np.testing.assert_allclose(again, found, atol=0.1)


def test_an_estimate_that_is_the_reference_is_infinitely_good():
    references, _ = signals(CASES["stereo"])
    found = metrics.bss_eval(references, references.copy(), 1000, None, 16)
    assert (found.sdr == np.inf).all()
    for ratio in found[1:]:
        assert (ratio > 100).all()
    assert (found.median().sdr == np.inf).all()
    assert (metrics.sdr(references, references.copy(), 1000) == np.inf).all()
    assert (metrics.si_sdr(references, references.copy()) > 200).all()
    assert (metrics.si_sdr(references, 0.3 * references) > 200).all()
    energies = np.square(references).sum(axis=(1, 2))
    np.testing.assert_allclose(metrics.usdr(references, references), 10 * np.log10(energies / 1e-7 + 1))


def test_frames_overlap_and_an_incomplete_one_is_left_out():
    def shape(num_samples, *frames):
        return metrics.sdr(np.ones((1, num_samples, 1)), np.full((1, num_samples, 1), 0.5), *frames).shape

    assert [shape(n, 10)[1] for n in (3, 10, 19, 20, 29)] == [1, 1, 1, 2, 2]
    assert [shape(n, 10, 5)[1] for n in (3, 10, 14, 15, 20)] == [1, 1, 1, 2, 3]
    assert shape(25, 10, 12) == (1, 2)


def test_sdr_takes_one_source_and_bss_eval_does_not():
    references, estimates = (x[:1] for x in signals(CASES["stereo"]))
    assert metrics.sdr(references, estimates, 1000).shape == (1, 2)
    with refused("at least two"):
        metrics.bss_eval(references, estimates, 1000)


def test_sdr_of_one_source_asks_for_its_own_silence_alone():
    references, estimates = signals(CASES["silent reference"])
    assert np.isfinite(metrics.sdr(references[:1], estimates[:1], 1000)).all()
    assert np.isnan(metrics.sdr(references[1:], estimates[1:], 1000)[0]).tolist() == [False, True, False]


def test_usdr_is_the_ratio_of_the_whole_track():
    references, estimates = signals(CASES["mono"])
    whole = metrics.sdr(references, estimates, references.shape[1])[:, 0]
    np.testing.assert_allclose(metrics.usdr(references, estimates), whole, atol=1e-6)
    np.testing.assert_allclose(metrics.usdr(1e-6 * references, 1e-6 * estimates), 0, atol=0.1)


def test_usdr_is_defined_for_silence():
    silence, noise = np.zeros((1, 10, 2)), np.full((1, 10, 2), 0.1)
    assert metrics.usdr(silence, silence) == pytest.approx([0])
    assert metrics.usdr(silence, noise) == pytest.approx([10 * np.log10(1e-7 / (0.2 + 1e-7))])
    assert metrics.usdr(noise, silence) == pytest.approx([0])


def by_projection(reference, estimate):
    """SI-SDR of one channel: what least squares explains of the estimate, and what it does not."""
    _, residual, _, _ = np.linalg.lstsq(reference[:, None], estimate, rcond=None)
    return 10 * np.log10((np.square(estimate).sum() - residual[0]) / residual[0])


@pytest.mark.parametrize("zero_mean", [True, False])
def test_si_sdr_is_the_mean_over_channels_of_what_a_projection_leaves(zero_mean):
    references, estimates = (x + 0.1 for x in signals(CASES["four"]))
    found = metrics.si_sdr(references, estimates, zero_mean)
    if zero_mean:
        references, estimates = (x - x.mean(axis=1, keepdims=True) for x in (references, estimates))
    expected = [
        np.mean([by_projection(reference[:, channel], estimate[:, channel]) for channel in range(2)])
        for reference, estimate in zip(references, estimates, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("decibels", [-10.0, 0.0, 15.0])
def test_si_sdr_and_sdr_of_orthogonal_noise_are_its_level(decibels):
    time = np.arange(800) / 800
    reference = np.stack([np.sin(2 * np.pi * 50 * time), np.sin(2 * np.pi * 90 * time)], axis=1)[None]
    noise = np.cos(2 * np.pi * 50 * time)[None, :, None]
    estimate = reference + 10 ** (-decibels / 20) * noise
    assert metrics.si_sdr(reference, estimate) == pytest.approx([decibels])
    assert metrics.sdr(reference, estimate, 800).item() == pytest.approx(decibels)
    assert metrics.usdr(reference, estimate) == pytest.approx([decibels], abs=1e-6)
    for scale in (-2.0, 0.01):
        assert metrics.si_sdr(reference, scale * estimate) == pytest.approx([decibels])
        assert metrics.si_sdr(scale * reference, estimate) == pytest.approx([decibels])
    # Each channel by itself: their balance is not judged.
    assert metrics.si_sdr(reference, estimate * [1.0, 0.2]) == pytest.approx([decibels])


def test_si_sdr_without_mean_does_not_hear_an_offset():
    references, estimates = signals(CASES["mono"])
    before = metrics.si_sdr(references, estimates)
    np.testing.assert_allclose(metrics.si_sdr(references, estimates + 0.5), before, atol=1e-9)
    assert (metrics.si_sdr(references, estimates + 0.5, zero_mean=False) < before - 3).all()


def test_si_sdr_of_silence():
    references, estimates = signals(CASES["one channel"])
    expected = metrics.si_sdr(references[:, :, :1], estimates[:, :, :1])
    assert metrics.si_sdr(references, estimates)[0] == pytest.approx(expected[0])
    references[0] = 0
    found = metrics.si_sdr(references, estimates)
    assert np.isnan(found).tolist() == [True, False]
    # A constant is silence once its mean is away, which rounding does not leave at 0.
    references[0] = 0.1
    assert np.isnan(metrics.si_sdr(references, estimates)).tolist() == [True, False]
    assert metrics.si_sdr(references, 0 * estimates)[1] == -np.inf


FUNCTIONS = {
    "bss_eval": lambda *pair: metrics.bss_eval(*pair, 10),
    "sdr": lambda *pair: metrics.sdr(*pair, 10),
    "usdr": metrics.usdr,
    "si_sdr": metrics.si_sdr,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 20, 1), (2, 19, 1)), "cut or pad"),
        (((2, 20, 1), (3, 20, 1)), "same number of sources"),
        (((2, 20, 1), (2, 20, 2)), "same number of sources"),
        (((2, 20, 1), (2, 1, 20)), "same number of sources"),
        (((2, 20), (2, 20)), "expected .sources, samples, channels."),
        (((2, 0, 1), (2, 0, 1)), "references have shape .2, 0, 1."),
    ],
)
def test_shapes_that_cannot_be_compared_are_refused(name, shapes, message):
    with refused(message):
        FUNCTIONS[name](*map(np.ones, shapes))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(name, value):
    references, estimates = signals(CASES["mono"])
    estimates[1, 3] = value
    with refused("estimates contain NaN or infinite"):
        FUNCTIONS[name](references, estimates)


@pytest.mark.parametrize(("window", "hop", "filter_length"), [(0, None, 8), (10, 0, 8), (10, None, 0)])
def test_lengths_below_one_are_refused(window, hop, filter_length):
    references, estimates = signals(CASES["mono"])
    with refused("at least 1"):
        metrics.bss_eval(references, estimates, window, hop, filter_length)

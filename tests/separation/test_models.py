import dataclasses

import keras
import numpy as np
import pytest

from common import runs
from common.errors import UserError
from common.training import loop, optimizers
from separation import losses, metrics
from separation.config import TASK, VARIANTS, Config
from separation.models import (
    MaskAccuracy,
    StemSdr,
    build_model,
    compile_model,
    for_inference,
    load_for_inference,
    load_model,
)

TINY = dataclasses.replace(VARIANTS["tiny"], sample_rate=8000, num_channels=1)
SMALL_UNET = {"model": "unet", "width": 4, "depth": 3}


@pytest.mark.parametrize("mask", ["sigmoid", "binary", "ratio", "softmax", "complex", "spectrum"])
@pytest.mark.parametrize("model", ["unet", "tfc_tdf"])
def test_waveform_in_stems_out(model, mask, rng):
    config = dataclasses.replace(
        TINY,
        num_channels=2,
        stems=("vocals", "drums", "other"),
        mask=mask,
        **(SMALL_UNET if model == "unet" else {"model": model}),
    )
    mixture = rng.normal(0, 0.1, (2, config.window_samples, 2)).astype(np.float32)
    network = build_model(config)
    outputs = network(mixture)
    assert outputs["stems"].shape == (2, 3, config.window_samples, 2)
    assert outputs["spectra"].shape == (2, 3, 2, 2, 32, 129)
    assert ("masks" in outputs) == (mask not in ("complex", "spectrum"))
    # Masks turn with their mixture; what gives spectra has to see that it turned.
    turned = network(-mixture)["stems"].numpy()
    assert np.abs(turned - outputs["stems"].numpy()).max() > 1e-4
    if mask in ("ratio", "softmax"):
        # Masks that share out the mixture give it back.
        np.testing.assert_allclose(outputs["stems"].numpy().sum(axis=1), mixture, atol=1e-4)


# The other network is slow: the quick tests train it with one of the losses.
@pytest.mark.parametrize(
    ("model", "loss"),
    [
        pytest.param(model, loss, marks=() if (model, loss) == ("unet", "si_sdr") else pytest.mark.slow)
        for model in ("unet", "tfc_tdf")
        for loss in losses.FUNCTIONS
    ],
)
def test_every_loss_moves_every_network(model, loss, rng):
    changes = SMALL_UNET if model == "unet" else {"model": model}
    config = dataclasses.replace(TINY, loss=(loss,), mask="sigmoid", learning_rate=0.01, num_frames=64, **changes)
    loop.prepare(config)
    network = build_model(config)
    compile_model(network, config, optimizers.build_optimizer(config, 8), 1)
    network.run_eagerly = True  # Tracing takes longer than eight steps.
    stems = rng.normal(0, 0.1, (4, 2, config.window_samples, 1)).astype(np.float32)
    stems[:, 1] = np.cumsum(stems[:, 1], axis=1) * 0.1
    history = network.fit(stems.sum(axis=1), stems, epochs=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert {"sdr", "vocals_sdr", "accompaniment_sdr"} <= set(history) and ("accuracy" in history) == (loss == "bce")


def test_sdr_is_of_all_windows_together(rng):
    truth = rng.normal(size=(6, 2, 500, 1)).astype(np.float32)
    estimate = truth + 0.3 * rng.normal(size=truth.shape).astype(np.float32)
    both, second = StemSdr(2), StemSdr(2, 1)
    for part in (slice(0, 4), slice(4, 6)):
        for metric in (both, second):
            metric.update_state(truth[part], {"stems": estimate[part]})
    whole = [x.transpose(1, 0, 2, 3).reshape(2, -1, 1) for x in (truth, estimate)]
    expected = metrics.usdr(*whole)
    assert float(second.result()) == pytest.approx(expected[1], abs=1e-3)
    assert float(both.result()) == pytest.approx(expected.mean(), abs=1e-3)


def test_mask_accuracy_is_the_share_on_the_right_side(rng):
    truth = rng.normal(size=(2, 2, TINY.window_samples, 1)).astype(np.float32)
    ideal = losses.ideal_binary_masks(losses.stem_magnitudes(TINY, truth)[..., :-1]).numpy()
    metric = MaskAccuracy(TINY.n_fft, TINY.hop_length)
    metric.update_state(truth, {"masks": 0.2 + 0.6 * ideal})
    assert float(metric.result()) == 1
    metric.update_state(truth, {"masks": 1 - ideal})
    assert float(metric.result()) == 0.5


def test_a_folder_without_a_run_is_told(tmp_path):
    with pytest.raises(UserError, match="run_dir takes a folder that `python -m separation.train` made"):
        load_model(tmp_path)


def test_stereo_and_mono_are_the_corpus_own_until_told():
    assert Config().sample_rate == Config().num_channels == 0


@pytest.fixture
def run(tmp_path):
    """A run whose network has not learnt anything, and the network."""
    config = dataclasses.replace(VARIANTS["tiny"], sample_rate=8000, num_channels=2)
    run, model = runs.start(tmp_path / "run", config, TASK, "tiny"), build_model(config)
    model.save(run.model_path)
    return run, model


def test_a_run_takes_songs_apart_in_float32_whatever_the_policy(run, rng):
    run, model = run
    song = rng.normal(0, 0.1, (9000, 2)).astype(np.float32)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        separator = load_for_inference(run.folder)
        found = separator.separate(song)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert found.names == run.config.stems and separator.hop_samples == run.config.window_hop
    np.testing.assert_array_equal(found.waveforms, for_inference(model, run.config).separate(song).waveforms)


def test_overlap_and_filter_are_chosen_when_a_run_is_loaded(run, rng):
    run, _ = run
    song = rng.normal(0, 0.1, (9000, 2)).astype(np.float32)
    plain, filtered = (load_for_inference(run.folder, wiener_iterations=number).separate(song) for number in (0, 1))
    assert np.abs(plain.waveforms - filtered.waveforms).max() > 1e-4
    assert load_for_inference(run.folder, overlap=0.0).hop_samples == run.config.window_samples
    with pytest.raises(UserError, match="overlap: expected at most 0.75, got 0.9"):
        load_for_inference(run.folder, overlap=0.9)


def test_a_window_is_answered_alike_whatever_comes_with_it(run, rng):
    run, model = run
    separator = for_inference(model, run.config)
    windows = rng.normal(0, 0.1, (6, separator.window_samples, 2)).astype(np.float32)
    stems = separator.run(windows)
    assert stems.shape == (6, 2, separator.window_samples, 2)
    for number in range(6):
        np.testing.assert_allclose(separator.run(windows[number : number + 1])[0], stems[number], atol=1e-6)
        np.testing.assert_allclose(model(windows[number : number + 1])["stems"][0], stems[number], atol=1e-5)

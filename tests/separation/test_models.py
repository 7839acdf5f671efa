import dataclasses

import numpy as np
import pytest

from common.errors import UserError
from common.training import loop
from separation import losses, metrics
from separation.config import VARIANTS, Config
from separation.models import MaskAccuracy, StemSdr, build_model, compile_model, load_model

TINY = dataclasses.replace(VARIANTS["tiny"], sample_rate=8000, channels=1)
SMALL_UNET = {"model": "unet", "width": 4, "depth": 3}


@pytest.mark.parametrize("mask", ["sigmoid", "binary", "ratio", "softmax", "complex", "spectrum"])
@pytest.mark.parametrize("model", ["unet", "tfc_tdf"])
def test_waveform_in_stems_out(model, mask, rng):
    config = dataclasses.replace(
        TINY,
        channels=2,
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


@pytest.mark.parametrize("loss", list(losses.FUNCTIONS))
@pytest.mark.parametrize("model", ["unet", "tfc_tdf"])
def test_every_loss_moves_every_network(model, loss, rng):
    changes = SMALL_UNET if model == "unet" else {"model": model}
    config = dataclasses.replace(TINY, loss=(loss,), mask="sigmoid", learning_rate=0.01, num_frames=64, **changes)
    loop.prepare(config)
    network = build_model(config)
    compile_model(network, config, loop.build_optimizer(config, 8), 1)
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
    assert Config().sample_rate == Config().channels == 0

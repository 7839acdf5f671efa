import dataclasses

import keras
import numpy as np
import pytest

from common.encoders import ENCODERS
from separation.config import VARIANTS
from separation.networks.unet import unet

torch = pytest.importorskip("torch", reason="PyTorch is in the environment of make bench")

from benchmarks import peers  # noqa: E402

CASES = {
    "report_cnn": ((44, 13), peers.ReportCNN, {"dropout": 0.0}),
    "m5": ((16_000,), peers.M5, {}),
    "bc_resnet": ((101, 40), peers.BCResNet, {"dropout": 0.0}),
}


def build(name, rng):
    """Our network with weights that all show, and its peer with the same."""
    shape, peer, options = CASES[name]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, keras.layers.Dense(12)(ENCODERS[name].build(inputs, **options)))
    for weight in model.trainable_weights:
        weight.assign(weight + rng.normal(0, 0.05, weight.shape))
    net = peer(12, **options)
    peers.copy_weights(model, net)
    return model, net, rng.normal(0, 1, (4, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_a_peer_has_the_same_number_of_parameters(name, rng):
    model, net, _ = build(name, rng)
    ours = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert sum(parameter.numel() for parameter in net.parameters()) == ours


@pytest.mark.parametrize("name", CASES)
def test_a_peer_with_copied_weights_answers_the_same_in_training_and_after(name, rng):
    model, net, inputs = build(name, rng)
    for training in (True, False):  # training moves the statistics that inference then uses
        expected = model(inputs, training=training).numpy()
        with torch.inference_mode():
            received = net.train(training)(torch.from_numpy(inputs)).numpy()
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)


def test_the_u_net_has_the_same_parameters_and_answers(rng):
    config = dataclasses.replace(VARIANTS["report"], width=4, depth=3, dropout=0.0)
    features = keras.Input((16, 32, 1))
    model = keras.Model(features, unet(config, features, 1))
    for weight in model.trainable_weights:
        weight.assign(weight + rng.normal(0, 0.05, weight.shape))
    net = peers.UNet(depth=3, width=4, dropout=0.0)
    peers.copy_weights(model, net)
    assert sum(p.numel() for p in net.parameters()) == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    inputs = rng.normal(0, 1, (4, 16, 32, 1)).astype(np.float32)
    for training in (True, False):
        expected = model(inputs, training=training).numpy()
        with torch.inference_mode():
            received = net.train(training)(torch.from_numpy(inputs)).numpy()
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-4)

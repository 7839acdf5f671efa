import dataclasses

import keras
import numpy as np
import pytest

from separation.config import VARIANTS
from separation.networks.unet import FoldedConv2DTranspose, unet
from tests.checks import check_layer


def build(config, channels=1):
    config = dataclasses.replace(config, sample_rate=16_000)
    features = keras.Input((config.num_frames, config.n_fft // 2, channels))
    return keras.Model(features, unet(config, features, channels))


def test_six_levels_have_the_published_number_of_parameters():
    """Jansson et al. and Spleeter: 9.83 M."""
    model = build(VARIANTS["spleeter"])
    assert model.count_params() == 9_826_321
    assert model.output_shape == (None, 128, 512, 1)


def test_five_levels():
    # 2.45 M, as another implementation of the same network counts.
    assert abs(build(VARIANTS["report"]).count_params() - 2.45e6) < 5e3


def test_dropout_stands_behind_the_first_three_levels_upwards():
    names = [layer.name for layer in build(VARIANTS["spleeter"]).layers if isinstance(layer, keras.layers.Dropout)]
    assert names == ["up_5_dropout", "up_4_dropout", "up_3_dropout"]
    without = build(dataclasses.replace(VARIANTS["spleeter"], dropout=0.0))
    assert not [layer for layer in without.layers if isinstance(layer, keras.layers.Dropout)]


@pytest.mark.parametrize("filters", [1, 3])
def test_the_folded_convolution_is_the_transposed_one(filters, rng):
    inputs = rng.normal(size=(2, 5, 7, 4)).astype(np.float32)
    folded, plain = FoldedConv2DTranspose(filters), keras.layers.Conv2DTranspose(filters, 5, 2, padding="same")
    for layer in (folded, plain):
        layer.build(inputs.shape)
    folded.bias.assign(rng.normal(size=filters))
    plain.set_weights(folded.get_weights())
    np.testing.assert_allclose(folded(inputs), plain(inputs), atol=1e-5)


def test_the_folded_convolution_is_sound(rng):
    check_layer(FoldedConv2DTranspose(2), rng.normal(size=(2, 4, 6, 3)).astype(np.float32))

import dataclasses

import keras

from separation.config import VARIANTS
from separation.networks.unet import unet


def build(config, channels=1):
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

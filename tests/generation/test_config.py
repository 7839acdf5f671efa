import dataclasses

import pytest

from generation.config import VARIANTS, Config
from tests.errors import refused


def test_every_variant_is_sound():
    assert {"default", "synthetic", "report", "report-reduced", "specgan", "tiny"} <= set(VARIANTS)
    for variant in ("default", "report", "report-reduced"):
        assert (VARIANTS[variant].frames, VARIANTS[variant].bands) == (662, 64)
    assert (VARIANTS["specgan"].frames, VARIANTS["specgan"].bands) == (128, 128)


def test_the_report_is_as_published():
    config = VARIANTS["report"]
    assert (config.batch_size, config.epochs, config.noise_dim) == (8, 200, 100)
    assert (config.beta_1, config.beta_2, config.real_label) == (0.5, 0.999, 0.9)
    assert config.judged_size == (662, 64) and VARIANTS["report-reduced"].judged_size == (32, 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fold": 7}, "--fold: expected at most 4"),
        ({"style_dim": 200}, "--style_dim: expected at most"),
        ({"hop_length": 300}, "--hop_length: expected at most half"),
        ({"discriminator_size": "reduced"}, "is for --model=dcgan"),
        ({"model": "dcgan"}, "use --discriminator_size=enlarged or reduced"),
        ({"model": "specgan"}, "use the features of --variant=specgan"),
        ({"num_mels": 40}, "needs at least 32 frames and a multiple of 32 bands"),
        ({"loss": "wasserstein"}, "--loss: expected one of"),
        ({"on_collapse": "shrug"}, "--on_collapse: expected one of"),
    ],
)
def test_what_cannot_be_is_one_line(changes, message):
    with refused(message) as error:
        dataclasses.replace(VARIANTS["default"], **changes)
    assert "\n" not in error.value.command_line


def test_plain_config_is_the_native_network():
    assert Config().model == "native"

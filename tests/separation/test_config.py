import dataclasses

import pytest

from separation.config import VARIANTS, Config
from tests.errors import refused


def test_every_variant_is_sound_and_the_report_is_as_published():
    assert {"default", "report", "spleeter", "tiny", "synthetic"} == set(VARIANTS)
    report = VARIANTS["report"]
    assert (report.loss, report.mask, report.split_rule, report.optimizer) == (("bce",), "sigmoid", "random", "adam")
    assert report.dropout > 0 and not report.remix_probability
    assert VARIANTS["spleeter"].depth == 6 and VARIANTS["spleeter"].loss == ("magnitude_l1",)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"loss": ("l2",)}, "--loss: expected any of bce"),
        ({"loss": ()}, "--loss: expected at least one of"),
        ({"stems": ("vocals", "vocals")}, "--stems: expected different stems"),
        ({"stems": ("vocals", "mixture")}, "--stems: expected different stems"),
        ({"loss": ("bce",), "mask": "sigmoid", "stems": ("vocals",)}, "--loss=bce needs two or more stems"),
        ({"loss": ("bce",), "mask": "complex"}, "--loss=bce needs masks in"),
        ({"stems": ("vocals",), "mask": "softmax"}, "--mask=softmax needs two or more stems"),
        ({"fold": 5}, "--fold: expected at most 4"),
        ({"min_gain": 2.0}, "--min_gain: expected at most --max_gain=1.25"),
        (
            {"n_fft": 1024, "hop_length": 300},
            "--n_fft: expected an even number, 64 or more, that is a multiple .2 or more. of --hop_length=300, got",
        ),
        ({"n_fft": 512, "hop_length": 512}, "--n_fft: expected .* a multiple .2 or more. of --hop_length=512, got 512"),
        ({"n_fft": 2}, "--n_fft: expected an even number, 64 or more"),
        (
            {"n_fft": 1024, "num_frames": 100},
            "--depth=3 needs frames and bins that are multiples of 8, got 100 frames and 64 bins",
        ),
    ],
)
def test_what_does_not_go_together_is_told(changes, line):
    with refused(line):
        dataclasses.replace(VARIANTS["default"], **changes)


@pytest.mark.parametrize(
    ("sample_rate", "n_fft"), [(8000, 512), (16_000, 1024), (22_050, 1024), (44_100, 2048), (48_000, 2048), (100, 64)]
)
def test_frames_last_as_long_at_every_sample_rate(sample_rate, n_fft):
    """Up to 64 ms; where a frame's length is given it stays."""
    unknown = VARIANTS["default"]
    assert (unknown.n_fft, unknown.hop_length) == (0, 0)
    config = dataclasses.replace(unknown, sample_rate=sample_rate, depth=2)
    assert (config.n_fft, config.hop_length) == (n_fft, n_fft // 4)
    told = dataclasses.replace(unknown, sample_rate=sample_rate, n_fft=4096)
    assert (told.n_fft, told.hop_length) == (4096, 1024)


@pytest.mark.parametrize("sample_rate", [8000, 16_000, 44_100])
def test_every_variant_takes_every_usual_rate(sample_rate):
    for name, variant in VARIANTS.items():
        config = dataclasses.replace(variant, sample_rate=sample_rate)
        assert config.n_fft >= 2 * config.hop_length > 0, name


def test_windows_follow_each_other_by_whole_frames():
    config = Config(n_fft=256, hop_length=64, num_frames=32, depth=2, subbands=2, overlap=0.25)
    assert config.window_samples == 31 * 64
    assert config.window_hop == 23 * 64
    assert dataclasses.replace(config, overlap=0.0).window_hop == config.window_samples

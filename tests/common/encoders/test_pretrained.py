"""The weights of the speech embedding, and what is said where they are missing."""

import dataclasses

import pytest

from common.encoders import pretrained
from common.encoders.config import check_embedding
from common.errors import UserError
from kws.config import VARIANTS

CONFIG = dataclasses.replace(VARIANTS["tiny"], model="speech_embedding")


def test_the_weights_are_those_of_twenty_convolutions():
    if not pretrained.is_installed():
        pytest.skip("the extra `embedding` is not installed")
    weights = pretrained.weights()
    assert len(weights) == 40
    assert sum(values.size for values in weights) == 328_224
    assert weights[0].shape == (3, 3, 1, 24) and weights[-1].shape == (96,)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(pretrained, "is_installed", lambda: False)
    with pytest.raises(UserError, match=r"pip install 'quartet-audio\[embedding\]'"):
        check_embedding(CONFIG)
    with pytest.raises(UserError, match="extra `embedding`"):
        pretrained.weights()


def test_another_sample_rate_is_refused():
    with pytest.raises(UserError, match="sample_rate: speech_mel is for 16000, got 8000"):
        dataclasses.replace(CONFIG, sample_rate=8000)


def test_a_file_with_another_network_is_refused(monkeypatch):
    if not pretrained.is_installed():
        pytest.skip("the extra `embedding` is not installed")
    monkeypatch.setattr(pretrained, "_FILE", "models/melspectrogram.tflite")
    with pytest.raises(UserError, match="has another network than version 1.1.0"):
        pretrained.weights()

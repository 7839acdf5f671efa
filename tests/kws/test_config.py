import dataclasses

import pytest

from common import config as configs
from common.errors import UserError
from kws.config import COMMAND_WORDS, TASK, VARIANTS, Config


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_survives_its_file(variant, tmp_path):
    configs.save(VARIANTS[variant], TASK, variant, tmp_path / "config.json")
    assert configs.load(Config, TASK, tmp_path / "config.json") == VARIANTS[variant]


def test_twelve_labels_are_ten_words_silence_and_unknown():
    assert VARIANTS["twelve"].labels == (*COMMAND_WORDS, "_silence_", "_unknown_")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"win_length": 1024}, "--win_length: expected at most --n_fft=512, got 1024"),
        ({"num_mfcc": 41}, "--num_mfcc: expected at most --num_mels=40, got 41"),
        ({"min_snr_db": 50.0}, "--min_snr_db: expected at most --max_snr_db=40.0, got 50.0"),
        ({"words": ("yes", "no", "yes")}, "--words: yes is listed twice"),
        ({"fold": 5}, "--fold: expected at most 4 with --num_folds=5"),
        ({"words": ("yes",), "unseen_words": ("bed", "yes")}, "--unseen_words: yes is one of --words"),
        ({"corpus": "synthetic,gtzan"}, "--corpus: expected one or several of"),
    ],
)
def test_fields_that_contradict_one_another_are_refused(changes, expected):
    with pytest.raises(UserError) as error:
        dataclasses.replace(VARIANTS["default"], **changes)
    assert expected in error.value.command_line

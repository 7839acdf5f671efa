import dataclasses

import pytest

from common import config as configs
from common.errors import UserError
from kws.config import COMMAND_WORDS, TASK, VARIANTS, Config, _general


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


def test_the_general_variants_are_pretrained_where_the_weights_are_installed():
    with_weights, without = _general(True), _general(False)
    assert with_weights.keys() == without.keys() == {"default", "twelve", "synthetic"}
    assert {config.model for config in with_weights.values()} == {"speech_embedding"}
    assert {config.model for config in without.values()} == {"cnn_tdnn"}
    assert all(config.fine_tune and config.epochs < 20 for config in with_weights.values())
    for name, config in with_weights.items():
        assert (config.words, config.unknown, config.clips_per_word) == (
            without[name].words,
            without[name].unknown,
            without[name].clips_per_word,
        )

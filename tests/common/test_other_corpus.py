"""What a trained configuration looks at when a command names another folder or corpus."""

import dataclasses
import importlib

import pytest

SPLITS = {"kws": "folds", "counting": None, "separation": "folds", "generation": "folds"}


def trained(task):
    config = importlib.import_module(f"{task}.config").VARIANTS["tiny"]
    split = {"split_rule": SPLITS[task]} if SPLITS[task] else {}
    return dataclasses.replace(config, corpus="folder", data_dir="here", **split)


@pytest.mark.parametrize("task", SPLITS)
def test_a_folder_alone_is_the_same_corpus_elsewhere_and_divided_as_in_training(task):
    """Else a moved folder would be tested on what was trained on."""
    config = trained(task)
    with_corpus = importlib.import_module(f"{task}.data").with_corpus
    assert with_corpus(config, None, "there") == dataclasses.replace(config, data_dir="there")
    assert with_corpus(config, None, None) == config
    assert with_corpus(config, "folder", "there") == dataclasses.replace(config, data_dir="there")


@pytest.mark.parametrize("task", SPLITS)
def test_another_corpus_has_its_own_split(task):
    other = importlib.import_module(f"{task}.data").with_corpus(trained(task), "synthetic", None)
    assert (other.corpus, other.data_dir) == ("synthetic", "")
    assert getattr(other, "split_rule", "official") == "official"

"""What headers and the list of tracks tell before anything is decoded."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from common import audio
from common.errors import UserError
from generation import recordings
from generation.config import Config


@pytest.fixture
def folder(tmp_path):
    for number in range(9):
        audio.write(tmp_path / f"{number}.wav", np.full(8000, 0.1, np.float32), 8000)
    return tmp_path


def test_tracks_that_are_all_too_short_are_refused(folder):
    recordings.check(Config(corpus="folder", data_dir=str(folder), clip_seconds=1.0))
    with pytest.raises(UserError, match="is shorter than an excerpt of 2 s"):
        recordings.check(Config(corpus="folder", data_dir=str(folder), clip_seconds=2.0))


def test_a_genre_that_does_not_exist_is_refused(folder):
    with pytest.raises(UserError, match="genre: there is no 'metal', only tracks without a genre"):
        recordings.check(Config(corpus="folder", data_dir=str(folder), genre=("metal",)))


def test_a_genre_whose_tracks_are_all_in_one_split_is_divided(tmp_path):
    for genre in ("metal", "rock"):
        for number in range(15):
            audio.write(tmp_path / genre / f"{number}.wav", np.full(800, 0.1, np.float32), 8000)
    config = Config(corpus="folder", data_dir=str(tmp_path))
    table = recordings.index(config)
    for path in table.loc[(table["label"] == "metal") & (table["split"] != "train"), "path"]:
        Path(path).unlink()
    table = recordings.index(config)
    assert set(table.loc[table["label"] == "metal", "split"]) == {"train"}
    chosen = recordings.index(dataclasses.replace(config, genre=("metal",)))
    assert set(chosen["split"]) == {"train", "validation", "test"} and set(chosen["label"]) == {"metal"}
    # A genre with tracks in every split keeps them.
    rock = recordings.index(dataclasses.replace(config, genre=("rock",)))
    assert rock["split"].tolist() == table.loc[table["label"] == "rock", "split"].tolist()

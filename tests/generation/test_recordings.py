"""What headers and the list of tracks tell before anything is decoded."""

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

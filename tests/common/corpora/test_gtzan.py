import logging

import numpy as np
import pytest
import soundfile

from common.corpora import gtzan
from common.errors import UserError


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(100), 22050)


@pytest.mark.parametrize("home", ["genres", "genres_original", "."])
def test_genres_are_labels_in_every_layout(tmp_path, home):
    write(tmp_path, *(f"{home}/{genre}/{genre}.{number:05d}.au" for genre in ("metal", "jazz") for number in range(5)))
    table = gtzan.index(tmp_path)
    assert table["label"].value_counts().to_dict() == {"metal": 5, "jazz": 5}
    assert table["track"].iloc[0] == "jazz/jazz.00000"


def test_what_is_known_to_be_broken_is_said(tmp_path, caplog):
    write(tmp_path, *(f"genres/jazz/jazz.{number:05d}.wav" for number in (1, 2, 3, 54)))
    with caplog.at_level(logging.WARNING):
        gtzan.index(tmp_path)
    assert "jazz.00054 is unreadable in the most common copy" in caplog.text


def test_a_folder_without_genres_is_one_line(tmp_path):
    write(tmp_path, "song.wav")
    with pytest.raises(UserError, match="laid out as genres/<genre>"):
        gtzan.index(tmp_path)


def test_the_real_pack(real_data):
    table = gtzan.index(real_data / "gtzan")
    assert table["label"].value_counts().to_dict() == {"metal": 7, "rock": 7}
    assert set(table["split"]) == {"train", "validation", "test"}

"""What the list of tracks tells before anything is decoded."""

import pytest

from common.errors import UserError
from separation import recordings
from separation.config import Config


def test_stems_that_no_track_has_are_refused(tmp_path):
    for number in range(9):
        for stem in ("vocals", "bass"):
            path = tmp_path / f"song {number}" / f"{stem}.wav"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    for stems in (("vocals", "bass"), ("vocals", "accompaniment")):
        recordings.check(Config(corpus="folder", data_dir=str(tmp_path), stems=stems))
    for rule in ("official", "random"):
        config = Config(corpus="folder", data_dir=str(tmp_path), stems=("vocals", "drums"), split_rule=rule)
        with pytest.raises(UserError, match=r"song \d has no stem 'drums' .it has bass, vocals."):
            recordings.check(config)

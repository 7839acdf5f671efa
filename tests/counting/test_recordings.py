"""What the list of speakers tells before anything is decoded."""

import dataclasses

import pytest

from common.errors import UserError
from counting import recordings
from counting.config import Config


@pytest.fixture
def config(voices_dir):
    return Config(corpus="folder", data_dir=str(voices_dir), max_speakers=2)


def test_too_few_speakers_are_refused(config):
    recordings.check(config)
    with pytest.raises(UserError, match=r"the \w+ split has \d+ speakers, expected at least max_speakers=20"):
        recordings.check(dataclasses.replace(config, max_speakers=20))


def test_the_head_follows_what_is_known_of_the_speakers(config, caplog):
    caplog.set_level("INFO")
    table = recordings.index(config)
    assert recordings.with_head(config, table).head == "sex" and not caplog.text
    table.loc[0, "sex"] = ""
    assert recordings.with_head(config, table).head == "class"
    assert "the sex of some speakers is unknown" in caplog.text
    for head in ("sex", "ordinal"):
        assert recordings.with_head(dataclasses.replace(config, head=head), table).head == head


def test_mixtures_of_unknown_speakers_are_counted():
    config = Config(corpus="prepared", data_dir="mixtures")
    table = recordings.pd.DataFrame({"label": ["FM", "F?"]})
    assert recordings.with_head(config, table).head == "class"
    assert recordings.with_head(config, table.iloc[:1]).head == "sex"

import os

import pytest

from common.errors import UserError
from kws.config import Config
from kws.folders import folders_of


def test_a_comma_belongs_to_the_name_of_a_folder_that_is_there(tmp_path):
    (tmp_path / "a,b").mkdir()
    (tmp_path / "c").mkdir()
    one, other = f"{tmp_path}/a,b", f"{tmp_path}/c"
    assert folders_of(one, ["folder"]) == [one]
    assert folders_of(f"{one},{other}", ["folder", "speech_commands"]) == [one, other]
    assert folders_of(f"{other},{one}", ["folder", "speech_commands"]) == [other, one]
    assert folders_of(f"new,{one}", ["synthetic", "folder"]) == ["new", one]
    assert folders_of(f",{one}", ["synthetic", "folder"]) == ["", one]
    assert folders_of("", ["synthetic", "folder"]) == ["", ""]
    assert folders_of("x,y", ["speech_commands", "folder"]) == ["x", "y"]
    with pytest.raises(UserError, match="expected 2 folders, one per corpus, got 3"):
        folders_of("x,y,z", ["speech_commands", "folder"])


def test_each_of_several_folders_is_stored_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("a,b")
    os.mkdir("c")
    config = Config(corpus="folder,speech_commands", data_dir="a,b,c/")
    assert config.data_dir == f"{tmp_path}/a,b,{tmp_path}/c"
    assert Config(corpus=config.corpus, data_dir=config.data_dir) == config
    assert Config(corpus="folder", data_dir="a,b").data_dir == f"{tmp_path}/a,b"
    assert Config(corpus="synthetic,folder", data_dir=",c").data_dir == f",{tmp_path}/c"
    assert Config(corpus="synthetic,folder").data_dir == ""
    # On another machine nothing of it exists, and only a command that reads the corpus says so.
    os.rmdir("a,b")
    assert Config(corpus=config.corpus, data_dir=config.data_dir).data_dir == config.data_dir
    with pytest.raises(UserError, match="expected 2 folders, one per corpus, got 3"):
        folders_of(config.data_dir, config.corpus.split(","))

import dataclasses
import json
from pathlib import Path

import pytest
from absl import flags

from common import config as configs
from common.cli import app
from common.config import TrainingConfig, field
from common.errors import UserError


@dataclasses.dataclass(frozen=True)
class Config(TrainingConfig):
    words: tuple[str, ...] = field((), "words")
    DROPPED = ("old_choice",)

    num_mels: int = field(40, "mel bands", minimum=1, maximum=200, formerly="mels")
    features: str = field("mfcc", "features", choices=("mfcc", "log_mel"))
    gain_db: float = field(0.0, "gain in dB")
    unknown: bool = field(False, "add a class")


VARIANTS = {"default": Config(), "small": Config(num_mels=8, words=("a", "b"))}


def parse(*arguments):
    flag_values = configs.FlagValues()
    configs.define_flags(flag_values, VARIANTS)
    flag_values(["program", *arguments])
    return configs.from_flags(flag_values, VARIANTS)


def test_flags_override_the_variant_and_leave_the_rest():
    config = parse("--variant=small", "--gain_db=3", "--words=up,down", "--unknown", "--features=log_mel")
    assert config == Config(num_mels=8, gain_db=3.0, words=("up", "down"), unknown=True, features="log_mel")


def test_without_flags_the_default_variant_is_returned():
    assert parse() == VARIANTS["default"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"num_mels": 0}, "--num_mels: expected at least 1, got 0"),
        ({"num_mels": 201}, "--num_mels: expected at most 200, got 201"),
        ({"num_mels": 8.5}, "--num_mels: expected int, got 8.5"),
        ({"num_mels": True}, "--num_mels: expected int, got True"),
        ({"features": "log_mell"}, 'Did you mean "log_mel"?'),
        ({"gain_db": float("nan")}, "--gain_db: expected a finite number, got nan"),
        ({"words": ("a", "")}, "--words: expected a list of names"),
        ({"epochs": 0}, "--epochs: expected at least 1, got 0"),
    ],
)
def test_a_wrong_value_is_refused_with_the_flag_and_what_was_expected(values, expected):
    with pytest.raises(UserError) as error:
        Config(**values)
    assert expected in error.value.command_line


def test_a_saved_configuration_loads_equal(tmp_path):
    config = Config(words=("yes", "no"), gain_db=1.5, unknown=True)
    configs.save(config, "kws", "default", tmp_path / "config.json")
    assert configs.load(Config, "kws", tmp_path / "config.json") == config


def test_an_unknown_key_is_refused_with_the_nearest_name(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"task": "kws", "config": {"num_mel": 3}}))
    with pytest.raises(UserError, match='unknown key "num_mel". Did you mean "num_mels"?'):
        configs.load(Config, "kws", path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "cannot read"),
        ("[]", "is not the configuration of a run"),
        ('{"task": "counting", "config": {}}', 'belongs to the task "counting", not "kws"'),
        ('{"task": "kws", "config": {"num_mels": 0}}', "expected at least 1"),
    ],
)
def test_a_damaged_or_foreign_configuration_is_refused(tmp_path, text, expected):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        configs.load(Config, "kws", path)
    assert expected in error.value.command_line


def test_a_missing_configuration_says_what_run_dir_takes(tmp_path):
    with pytest.raises(UserError, match="run_dir takes a folder"):
        configs.load(Config, "kws", tmp_path / "config.json")


def test_an_integer_beyond_all_floats_is_told(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"task": "kws", "config": {"gain_db": 10**400}}))
    with pytest.raises(UserError, match="gain_db: expected a finite number"):
        configs.load(Config, "kws", path)


def test_a_tilde_is_somebody_s_home_in_every_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    assert parse("--data_dir=~/music").data_dir == "/home/anna/music"
    assert Config(data_dir="a~b").data_dir == str(Path("a~b").absolute()) and Config(corpus="~").corpus == "~"
    flag_values = configs.FlagValues()
    for name, default in (("run_dir", "~/runs"), ("output", None), ("template", "~"), ("noise_dir", None)):
        flags.DEFINE_string(name, default, "", flag_values=flag_values)
    flag_values(["program", "--output=~/figures.json"])
    configs.understand(flag_values)
    assert (flag_values.run_dir, flag_values.output) == ("/home/anna/runs", "/home/anna/figures.json")
    assert flag_values.template == "~" and flag_values.noise_dir is None


def test_a_path_is_stored_absolute_and_an_empty_one_stays_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configs.save(Config(data_dir="music/"), "kws", "default", tmp_path / "config.json")
    monkeypatch.chdir("/")
    assert configs.load(Config, "kws", tmp_path / "config.json").data_dir == f"{tmp_path}/music"
    assert Config().data_dir == ""


def test_names_are_composed():
    assert parse("--words=adio\u0301s,no").words == ("adi\u00f3s", "no")
    flag_values = configs.FlagValues()
    flags.DEFINE_list("stems", None, "", flag_values=flag_values)
    flag_values(["program", "--stems=voce\u0300"])
    configs.understand(flag_values)
    assert flag_values.stems == ["voc\u00e8"]


def test_an_earlier_name_is_taken_and_the_new_one_told(caplog, capsys):
    def define(flag_values):
        configs.define_flags(flag_values, VARIANTS)

    seen = []
    main = lambda flags, _: seen.append(configs.from_flags(flags, VARIANTS))  # noqa: E731
    caplog.set_level("INFO")
    assert app.run(main, define, ["--mels=20"]) == 0
    assert seen == [Config(num_mels=20)]
    assert "--mels is now called --num_mels" in caplog.text
    assert app.run(main, define, ["--help"]) == 0
    assert "--mels" not in capsys.readouterr().out
    assert app.run(main, define, ["--mels=0"]) == 2
    assert "--num_mels: expected at least 1" in capsys.readouterr().err


def test_earlier_keys_of_a_saved_configuration_are_taken(caplog):
    caplog.set_level("INFO")
    saved = {"mels": 20, "old_choice": "adam", "words": ["up"]}
    assert configs.from_dict(Config, saved, "config.json") == Config(num_mels=20, words=("up",))
    assert "config.json: mels is now called num_mels" in caplog.text
    with pytest.raises(UserError, match='unknown key "words_"'):
        configs.from_dict(Config, {"words_": []}, "config.json")

import json

import pandas as pd
import pytest
from absl import flags as absl_flags

from benchmarks import options
from common import config as configs
from generation import config as generation_config
from generation import train as generation_train
from separation import config as separation_config
from separation import train as separation_train

TRAINS = {
    "separation": (separation_train, separation_config.VARIANTS),
    "generation": (generation_train, generation_config.VARIANTS),
}


def complete_run(folder, vocals):
    folder.mkdir(parents=True)
    scores = {"vocals": vocals, "accompaniment": 1.0}
    metrics = {"sdr": scores, "si_sdr": scores, "protocol": {"num_tracks": 3}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    pd.DataFrame({"examples_per_second": [1.0, 20.0, 30.0, 31.0]}).to_csv(folder / "history.csv", index=False)


@pytest.mark.parametrize(
    ("task", "name"), [(task, name) for task, known in options.TASKS.items() for name in (options.BASE, *known.rows)]
)
def test_every_row_is_a_configuration(task, name):
    train, variants = TRAINS[task]
    known = options.TASKS[task]
    flag_values = absl_flags.FlagValues()
    train.define_flags(flag_values)
    flag_values(["train", *known.base.split(), *known.rows.get(name, "").split()])
    base = absl_flags.FlagValues()
    train.define_flags(base)
    base(["train", *known.base.split()])
    changed = configs.from_flags(flag_values, variants) != configs.from_flags(base, variants)
    assert changed == (name != options.BASE)


def test_complete_runs_are_not_trained_again(tmp_path, capsys):
    complete_run(tmp_path / "base", 6.0)
    complete_run(tmp_path / "mixed_songs", 7.25)
    arguments = ["--task=separation", "--names=base,mixed songs", f"--output_dir={tmp_path}"]
    assert options.app.run(options.main, options.define_flags, arguments) == 0
    table = pd.read_csv(tmp_path / "table.csv")
    assert table["row"].tolist() == ["base", "mixed songs"]
    assert table["sdr"].tolist() == ["6.00, 1.00", "7.25, 1.00"]
    assert table["examples_per_second"].tolist() == [30.0, 30.0]
    assert "--remix_probability=0.75" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "--task: expected one of separation"),
        (["--task=separation", "--names=softmx"], 'Did you mean "softmax"?'),
        pytest.param(
            ["--task=separation", "--names=base", "--train_flags=--epochs=none"],
            "base: the training ended with code 2",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_flags_are_one_line(tmp_path, capsys, arguments, line):
    if arguments:
        arguments = [*arguments, f"--output_dir={tmp_path}"]
    assert options.app.run(options.main, options.define_flags, arguments) == 2
    assert line in capsys.readouterr().err

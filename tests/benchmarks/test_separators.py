import dataclasses

import numpy as np
import pandas as pd
import pytest
from absl import flags as absl_flags

from benchmarks import separators
from common import config as configs
from common.cli import app
from separation import train
from separation.config import VARIANTS


def complete_run(folder, fold, better):
    """Two singers a fold with two clips each; every clip is so much better."""
    rng = np.random.default_rng(fold)
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    config = dataclasses.replace(VARIANTS["tiny"], epoch_examples=600)
    configs.save(config, "separation", "tiny", folder / "config.json")
    pd.DataFrame({"examples_per_second": [5.0, 10.0]}).to_csv(folder / "history.csv", index=False)
    rows = [
        {
            "track": f"{singer}_{clip}",
            "group": singer,
            "stem": stem,
            "sdr": value + better,
            "si_sdr": value + 2 * better,
        }
        for singer in (f"a{fold}", f"b{fold}")
        for clip in range(2)
        for stem in ("vocals", "accompaniment")
        for value in [rng.normal(6, 3)]
    ]
    pd.DataFrame(rows).to_csv(folder / "test_tracks.csv", index=False)


@pytest.mark.parametrize("name", separators.NETWORKS)
def test_every_network_is_a_configuration(name):
    flag_values = absl_flags.FlagValues()
    train.define_flags(flag_values)
    flag_values(["train", *separators.NETWORKS[name].split()])
    assert configs.from_flags(flag_values, VARIANTS).depth in (3, 5)


def test_networks_are_compared_track_by_track(tmp_path, capsys):
    """Tracks differ by decibels, their differences by nothing: the interval is as narrow."""
    for fold in (0, 1):
        complete_run(tmp_path / f"default_{fold}", fold, better=1.5)
        complete_run(tmp_path / f"report_{fold}", fold, better=0.0)
    arguments = ["--networks=default,report", "--folds=0,1", f"--output_dir={tmp_path}"]
    assert app.run(separators.main, separators.define_flags, arguments) == 0
    tracks = pd.read_csv(tmp_path / "tracks.csv")
    assert len(tracks) == 2 * 2 * 4 * 2
    table = separators.compare(tracks).set_index(["stem", "network"])
    assert table.loc[("vocals", "report"), "default, sdr"] == "+1.50 (+1.50 to +1.50)"
    assert table.loc[("vocals", "report"), "default, si_sdr"] == "+3.00 (+3.00 to +3.00)"
    assert table.loc[("vocals", "default"), "minutes"] == "3" and table.loc[("vocals", "default"), "tracks"] == 8
    assert float(table.loc[("vocals", "default"), "sdr"]) == pytest.approx(
        float(table.loc[("vocals", "report"), "sdr"]) + 1.5, abs=0.011
    )
    assert "default, si_sdr" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--networks=spleter"], 'Did you mean "spleeter"?'),
        (["--folds=5"], "--folds: expected any of 0, 1, 2, 3, 4, got '5'"),
        pytest.param(
            ["--networks=report", "--folds=0", "--train_flags=--epochs=none"],
            "report, fold 0: the training ended with code 2",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_flags_are_one_line(tmp_path, capsys, arguments, line):
    assert app.run(separators.main, separators.define_flags, [*arguments, f"--output_dir={tmp_path}"]) == 2
    assert line in capsys.readouterr().err

"""Recordings of every name, from the script of small inputs that went wrong once."""

import json

from common.cli import app
from counting import predict


def test_every_recording_is_answered_and_drawn_whatever_its_name(cases, counting_run, tmp_path, capsys):
    names = sorted(path.name for path in (cases / "names").iterdir())
    flags = [f"--run_dir={counting_run}", "--output_format=json", f"--plot_dir={tmp_path / 'plots'}"]
    assert app.run(predict.main, predict.define_flags, [*flags, str(cases / "names")]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["path"].rpartition("/")[2] for row in rows] == names
    assert len(list((tmp_path / "plots").glob("*.png"))) == len(names)

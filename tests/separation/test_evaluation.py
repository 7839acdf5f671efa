import dataclasses

import numpy as np
import pandas as pd
import pytest

from benchmarks.example_corpora.songs import write_songs
from common.training import loop
from separation import data, evaluation, oracle
from separation.config import VARIANTS
from separation.models import build_model


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    root = tmp_path_factory.mktemp("evaluation")
    config = dataclasses.replace(VARIANTS["tiny"], corpus="folder", data_dir=str(write_songs(root / "songs")))
    corpus = data.load_corpus(config, root / "shards")
    loop.prepare(corpus.config)  # the same weights every time
    figures, table = evaluation.evaluate_split(
        build_model(corpus.config), corpus, "test", train_groups={"train/song 0"}, full=True, oracles=oracle.NAMES
    )
    return figures, table


def test_every_score_stands_between_its_floor_and_its_ceiling(judged):
    figures, table = judged
    assert set(table["estimator"]) == {"model", *oracle.NAMES} and len(table) == 2 * 2 * 5
    for stem in ("vocals", "accompaniment"):
        # A network that has learnt nothing stands below the ceiling.
        assert figures["sdr"][stem] < 2
        assert figures["oracles"][oracle.RATIO_POWER]["sdr"][stem] > 5
        assert {"isr", "sir", "sar"} <= set(figures)
    floor = figures["oracles"][oracle.MIXTURE]
    assert abs(floor["si_sdr"]["vocals"]) < 12
    protocol = figures["protocol"]
    assert protocol["num_tracks"] == 2 and protocol["num_groups_shared_with_training"] == 0


def test_the_table_is_laid_out(judged):
    text = evaluation.format_table(judged[0])
    assert "SI-SDR" in text and "  ideal binary mask" in text and "95 % interval" in text
    assert len({line.index("SDR") for line in text.splitlines()[:1]}) == 1


def test_sdr_is_the_median_and_si_sdr_the_mean_over_tracks():
    table = pd.DataFrame(
        {
            "stem": "vocals",
            "group": ["a", "a", "b"],
            "sdr": [1.0, 2.0, 9.0],
            "si_sdr": [1.0, 2.0, 9.0],
            "usdr": [1.0, 2.0, 9.0],
        }
    )
    figures = evaluation.summary(table, evaluation.QUICK)
    assert figures["sdr"]["vocals"] == 2 and figures["si_sdr"]["vocals"] == figures["usdr"]["vocals"] == 4
    low, high = figures["intervals"]["si_sdr"]["vocals"]
    assert (low, high) == (1.5, 9.0)  # Both tracks of a, or the one of b: singers are drawn, not tracks.


@pytest.mark.slow
def test_pictures_and_rows_are_written(judged, tmp_path):
    figures, table = judged
    paths = evaluation.save_plots(figures, table, tmp_path / "test")
    assert [path.name for path in paths] == ["test_tracks.csv", "test_sdr.png"]
    written = pd.read_csv(paths[0])
    assert len(written) == len(table) and paths[1].stat().st_size > 1000
    by_track = written[written["estimator"] == "model"].groupby("track", sort=False)["sdr"].mean()
    assert by_track.is_monotonic_increasing and by_track.nunique() > 1
    assert "too few tracks to compare models: 2, 95 % interval vocals" in evaluation.format_table(figures)


def test_a_track_whose_stem_is_silent_for_a_while_is_judged_where_it_sounds(rng):
    stems = rng.normal(0, 0.1, (2, 3000, 1))
    stems[0, :1000] = 0
    found = evaluation.track_figures(stems, 0.9 * stems, 1000, evaluation.QUICK)
    np.testing.assert_allclose(found["sdr"], 20, atol=1e-6)


def test_what_nobody_can_tell_is_a_dash():
    table = pd.DataFrame({"stem": ["vocals"], "group": ["a"], "sdr": [np.nan], "si_sdr": [-np.inf], "usdr": [0.0]})
    figures = evaluation.summary(table, evaluation.QUICK)
    figures |= {"oracles": {}, "protocol": {"num_tracks": 1, "sdr": ""}}
    assert "–" in evaluation.format_table(figures)

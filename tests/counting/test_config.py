import pytest

from counting.config import VARIANTS, Config
from tests.errors import refused


def test_labels_are_counts_or_women_and_men():
    config = Config(max_speakers=2)
    assert config.labels == ("F", "M", "FF", "FM", "MM")
    assert config.sexes == ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    assert Config(min_speakers=0, max_speakers=1).labels == ("-", "F", "M")
    assert Config(head="class").labels == ("1", "2", "3")


def test_the_report_is_as_published():
    report = VARIANTS["report-m5"]
    assert (report.model, report.epochs, report.epoch_examples, report.batch_size) == ("m5", 10, 100_000, 32)
    assert (report.optimizer, report.learning_rate, report.schedule) == ("adam", 1e-4, "constant")
    assert (report.cuts, report.level_rule, report.label_rule, report.counts) == ("random", "mean", "mixed", (1, 2, 3))
    assert {f"report-{name}" for name in ("m3", "m5", "m11", "m18", "m34-res", "2d-1", "2d-2", "2d-4")} < set(VARIANTS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus": "librispech"}, "did you mean.*librispeech|librispeech"),
        ({"min_speakers": 3}, "--max_speakers: expected more than --min_speakers=3"),
        ({"label_rule": "active", "cuts": "random"}, "--label_rule=active"),
        ({"label_rule": "active", "min_activity": 0.2, "max_speed": 0.3}, "--min_activity: with --label_rule=active"),
        ({"min_level_db": -10.0}, "--min_level_db"),
        ({"min_rt60_seconds": 1.0}, "--min_rt60_seconds"),
        ({"head": "sexes"}, "--head"),
        ({"corpus": "folder", "subsets": ("dev-clean",)}, "--subsets: only for --corpus=librispeech"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, message):
    with refused(message):
        Config(**changes)

import time

from common import progress


def test_short_operations_show_nothing_and_longer_ones_the_time_left(capsys, monkeypatch):
    with progress.bar(3, "preparing", "clip") as meter:
        for _ in range(3):
            meter.update()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "_DELAY_SECONDS", 0.05)
    monkeypatch.setattr(progress, "_LOG_INTERVAL_SECONDS", 0.01)
    with progress.bar(3, "preparing", "clip") as meter:
        for _ in range(2):
            time.sleep(0.1)
            meter.update()
    shown = capsys.readouterr().err
    assert "preparing" in shown and "2/3 [00:00<00:00" in shown


def test_durations():
    seconds = (0.4, 59.6, 60, 3599, 3600, 90000)
    expected = ["0 s", "1 min 0 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "25 h 0 min"]
    assert list(map(progress.duration, seconds)) == expected

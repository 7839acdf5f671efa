import numpy as np

from common.reporting import plots
from separation import callbacks


def test_a_separation_is_a_row_a_stem(rng):
    mixture = rng.uniform(size=(20, 30))
    rows = [(name, [mixture, mixture / 2, np.full((20, 30), 0.5)]) for name in ("vocals", "drums")]
    figure = callbacks.separations(mixture, rows, 0.01, 4000)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [
        *("mixture", "vocals, true", "vocals, estimated", "vocals, estimate / mixture"),
        *("mixture", "drums, true", "drums, estimated", "drums, estimate / mixture"),
    ]
    assert plots.to_image(figure).shape[-1] == 3


def test_a_separation_that_failed_is_drawn_all_the_same(caplog):
    bad = np.full((20, 30), np.nan)
    figure = callbacks.separations(bad, [("_vo$$ca{ls", [bad, bad, bad])], 0.01, 4000)
    assert plots.to_image(figure).std() > 0
    assert not caplog.messages

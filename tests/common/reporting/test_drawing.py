import logging

import matplotlib
import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from common.reporting import drawing


class Broken(Artist):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def draw(self, renderer):
        raise self.error


def broken(error):
    figure = Figure()
    figure.add_subplot().add_artist(Broken(error))
    return figure


def pixels(canvas):
    return np.array(canvas.buffer_rgba())


@drawing.guarded
def draw(error):
    raise error


def test_what_cannot_be_drawn_is_one_line_and_a_picture_that_says_so(caplog):
    reason = ValueError("no\nway \x1b[2J caf\udce9 $x")
    for make in (broken, draw):
        caplog.clear()
        found = pixels(drawing.render(make(reason), "a\nb.png", 100))
        assert found.shape == (300, 650, 4)
        assert found.std() > 0
        (line,) = caplog.messages
        assert "could not be drawn (ValueError: no" in line
        assert line.isprintable()


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("x" * 100_000), PermissionError(13, "a font")])
def test_whatever_the_reason(error, caplog):
    assert pixels(drawing.render(broken(error), "a.png", 100)).std() > 0
    assert len(caplog.messages) == 1 and len(caplog.messages[0]) < 500


def test_an_interruption_passes():
    with pytest.raises(KeyboardInterrupt):
        drawing.render(broken(KeyboardInterrupt()), "a.png", 100)
    with pytest.raises(KeyboardInterrupt):
        draw(KeyboardInterrupt())


def test_where_no_text_can_be_drawn_the_picture_is_empty(caplog):
    with matplotlib.rc_context({"font.size": 1e8}):
        figure = Figure()
        figure.text(0, 0, "a")
        found = pixels(drawing.render(figure, "a.png", 100))
    assert found.shape == (480, 640, 4) and found.std() == 0
    assert len(caplog.messages) == 1


def test_a_picture_that_would_be_too_large_is_drawn_smaller(caplog):
    figure = Figure(figsize=(1000, 3))
    figure.add_subplot().plot([0, 1])
    assert drawing.render(figure, "a.png", 100).get_width_height() == (6000, 18)
    assert not caplog.messages


def test_what_matplotlib_says_of_glyphs_and_layouts_stays_away(recwarn, caplog):
    figure = Figure(figsize=(1, 1), layout="constrained")
    figure.add_subplot().set_ylabel("\U0010fffd" * 30)
    with caplog.at_level(logging.WARNING):
        drawing.render(figure, "a.png", 100)
    assert not list(recwarn)
    assert not any("could not be drawn" in line for line in caplog.messages)

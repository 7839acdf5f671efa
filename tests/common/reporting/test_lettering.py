import logging
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from common.reporting import lettering

NAMES = ["Ba$$in", "A$AP_{", "100%", "_silence_", "x^2", r"\frac{a", "adiós", "你好", "مرحبا", "नमस्ते", "👩\u200d🚀"]
# Matplotlib's STIX has it, its DejaVu Sans has not.
RARE = "\u1d81"
# For private use, at the far end: no font has it.
UNKNOWN = "\U0010fffd"


@pytest.fixture(autouse=True)
def nothing_looked_up(monkeypatch):
    monkeypatch.setattr(lettering, "_families", {})


def drawn(figure):
    """What a figure's texts are when it is drawn."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")
        lettering.apply(figure)
        FigureCanvasAgg(figure).draw()
    axes = figure.axes[0]
    legend = axes.get_legend()
    return {
        "title": axes.get_title(),
        "suptitle": figure.get_suptitle(),
        "labels": [axes.get_xlabel(), axes.get_ylabel()],
        "ticks": [text.get_text() for text in axes.get_xticklabels()],
        "legend": [text.get_text() for text in legend.get_texts()] if legend else [],
        "texts": [text.get_text() for text in axes.texts],
    }


def named(name):
    """A figure that has a name wherever one can stand."""
    figure = Figure()
    axes = figure.add_subplot()
    legend = axes.legend(axes.plot([0, 1], [0, 1]), ["line"])
    legend.get_texts()[0].set_text(name)
    axes.set_xticks([0, 1], [name, "b"])
    axes.set(title=name, xlabel=name, ylabel=name)
    axes.text(0, 0, name)
    figure.suptitle(name)
    return figure


def everywhere(name):
    return {
        "title": name,
        "suptitle": name,
        "labels": [name, name],
        "ticks": [name, "b"],
        "legend": [name],
        "texts": [name],
    }


@pytest.mark.parametrize("name", NAMES)
def test_names_are_drawn_as_they_are_and_nothing_is_taken_for_mathematics(name):
    figure = named(name)
    settings = dict(matplotlib.rcParams)
    assert drawn(figure) == everywhere(name)
    axes = figure.axes[0]
    texts = [*figure.texts, *axes.texts, axes.title, axes.xaxis.label, *axes.get_xticklabels()]
    assert not any(text.get_parse_math() for text in (*texts, *axes.get_legend().get_texts()))
    assert dict(matplotlib.rcParams) == settings


def test_a_dollar_is_drawn_as_a_dollar():
    def pixels(title):
        figure = Figure(figsize=(3, 1))
        figure.text(0, 0.5, title)
        lettering.apply(figure)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.array(canvas.buffer_rgba())

    # As mathematics both would be an italic x.
    assert (pixels("$x$") != pixels("$ x $")).any()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("caf\udce9", r"caf\xe9"),
        ("a\nb\tc\x07\x1b[2J", r"a\nb\tc\x07\x1b[2J"),
        ("a\u2028b\ud800", r"a\u2028b\ud800"),
    ],
)
def test_what_is_no_letter_is_written_out(name, shown):
    assert drawn(named(name)) == everywhere(shown)


def test_long_names_lose_their_middle():
    figure = named("a" * 5000 + "z" * 5000)
    texts = drawn(figure)
    for text in (texts["title"], texts["suptitle"], *texts["labels"], texts["ticks"][0], *texts["legend"]):
        assert "…" in text and text.startswith("aaa") and text.endswith("zzz")
        assert len(text) < 100
    for title in (figure.axes[0].title, *figure.texts):
        assert title.get_window_extent().width <= figure.bbox.width


def test_chinese_letters_take_the_room_of_two():
    assert lettering.shortened("你好" * 10, 40) == "你好" * 10
    assert lettering.shortened("你好" * 10, 9) == "你好…你好"


def test_numbers_along_an_axis_stay_as_matplotlib_writes_them():
    figure = Figure()
    figure.add_subplot().set(xscale="log", xlim=(1e-3, 1))
    assert r"10^{-3}" in "".join(drawn(figure)["ticks"])
    assert all(text.get_parse_math() for text in figure.axes[0].get_xticklabels())


def test_axes_that_share_their_names_are_drawn():
    figure = Figure()
    upper, lower = figure.subplots(2, sharex=True)
    lower.set_xticks([0, 1], ["a$b$", "caf\udce9"])
    drawn(figure)
    assert [text.get_text() for text in lower.get_xticklabels()] == ["a$b$", r"caf\xe9"]
    assert not any(text.get_parse_math() for text in lower.get_xticklabels())


def test_another_font_of_the_machine_is_used_where_the_usual_one_lacks_a_letter(caplog):
    figure = named(f"a{RARE}")
    drawn(figure)
    title = figure.axes[0].title
    assert len(title.get_fontfamily()) == 2
    assert title.get_fontfamily()[0] == matplotlib.rcParams["font.family"][0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FigureCanvasAgg(figure).draw()
    assert not caplog.messages


def test_letters_that_no_font_has_are_told_once(caplog):
    with caplog.at_level(logging.INFO):
        for letters in (UNKNOWN, UNKNOWN, "\U0010fffc"):
            assert drawn(named(letters)) == everywhere(letters)
    assert len(caplog.messages) == 1
    assert "no installed font has" in caplog.messages[0] and "U+10FFFD" in caplog.messages[0]


def test_a_letter_that_joins_others_needs_no_font(caplog):
    drawn(named("a\u200db\ufeffc"))
    drawn(named("\u200d" * 100))
    assert not caplog.messages

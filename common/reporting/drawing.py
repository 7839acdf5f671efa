"""What cannot be drawn ends nothing: a picture that says so takes its place, and the log has a line."""

import contextlib
import functools
import logging
import textwrap
import warnings
from collections.abc import Callable, Iterator
from typing import ParamSpec

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from common.errors import reason
from common.reporting import lettering

# Of the longer side: a larger picture takes gigabytes, and few programs open it.
_MOST_PIXELS = 6000
_LONGEST_REASON = 300

Arguments = ParamSpec("Arguments")


def guarded(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Have a function that draws give a picture which says why, where it would raise."""

    @functools.wraps(draw)
    def guard(*arguments: Arguments.args, **options: Arguments.kwargs) -> Figure:
        try:
            with _plain():
                return draw(*arguments, **options)
        except Exception as error:
            return _note(draw.__name__, error)

    return guard


def render(figure: Figure, name: str, pixels_per_inch: float) -> FigureCanvasAgg:
    """Draw a figure, or why it cannot be drawn.

    Args:
        figure: It is used up.
        name: What the log calls it.
        pixels_per_inch: The resolution; less where the picture would be larger than `_MOST_PIXELS`.

    Returns:
        A canvas, whose `buffer_rgba()` has the pixels.
    """
    try:
        return _canvas(figure, pixels_per_inch)
    except Exception as error:
        note = _note(name, error)
    try:
        return _canvas(note, pixels_per_inch)
    except Exception:
        # It is text that cannot be drawn here.
        return _canvas(Figure(), pixels_per_inch)


def _canvas(figure: Figure, pixels_per_inch: float) -> FigureCanvasAgg:
    with _plain():
        lettering.apply(figure)
        figure.set_dpi(min(pixels_per_inch, _MOST_PIXELS / max(figure.get_size_inches())))
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return canvas


def _note(name: str, error: Exception) -> Figure:
    """Log that something could not be drawn, and return a picture that says it."""
    why = lettering.shortened(lettering.printable(f"{type(error).__name__}: {reason(error)}"), _LONGEST_REASON)
    name = lettering.printable(name)
    logging.warning("the picture %s could not be drawn (%s); one that says so stands in its place", name, why)
    figure = Figure(figsize=(6.5, 3))
    for number, line in enumerate(["This picture could not be drawn:", *textwrap.wrap(why, 70)]):
        figure.text(0.05, 0.85 - 0.09 * number, line, parse_math=False)
    return figure


@contextlib.contextmanager
def _plain() -> Iterator[None]:
    """Have no text set by TeX, and nothing said of glyphs and layouts, which nobody who gave a recording can mend."""
    with rc_context({"text.usetex": False}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield

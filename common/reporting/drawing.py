"""Failures in plotting do not stop a run: the plot is replaced by an error message, with a warning in the log."""

import contextlib
import functools
import textwrap
import warnings
from collections.abc import Callable, Iterator
from typing import ParamSpec

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from common.errors import reason
from common.log import logger
from common.reporting import lettering

# Limit of the longer side: a larger image takes gigabytes, and few programs can open it.
_MOST_PIXELS = 6000
_LONGEST_REASON = 300

Arguments = ParamSpec("Arguments")


def guarded(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Decorate a plotting function: instead of raising an error, return a figure with the error message."""

    @functools.wraps(draw)
    def guard(*arguments: Arguments.args, **options: Arguments.kwargs) -> Figure:
        try:
            with _plain():
                return draw(*arguments, **options)
        except Exception as error:
            return _note(draw.__name__, error)

    return guard


def render(figure: Figure, name: str, pixels_per_inch: float) -> FigureCanvasAgg:
    """Render a figure, or the error message if that fails.

    Args:
        figure: The figure; it must not be used afterwards.
        name: Name of the figure in the log.
        pixels_per_inch: The resolution; reduced if the image would be larger than `_MOST_PIXELS`.

    Returns:
        A canvas; `buffer_rgba()` returns the pixels.
    """
    try:
        return _canvas(figure, pixels_per_inch)
    except Exception as error:
        note = _note(name, error)
    try:
        return _canvas(note, pixels_per_inch)
    except Exception:
        # Text itself cannot be rendered.
        return _canvas(Figure(), pixels_per_inch)


def _canvas(figure: Figure, pixels_per_inch: float) -> FigureCanvasAgg:
    with _plain():
        lettering.apply(figure)
        figure.set_dpi(min(pixels_per_inch, _MOST_PIXELS / max(figure.get_size_inches())))
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return canvas


def _note(name: str, error: Exception) -> Figure:
    """Log a plotting error, and return a figure with the error message."""
    why = lettering.shortened(lettering.printable(f"{type(error).__name__}: {reason(error)}"), _LONGEST_REASON)
    name = lettering.printable(name)
    logger.warning("the plot %s could not be drawn (%s); it is replaced by the error message", name, why)
    figure = Figure(figsize=(6.5, 3))
    for number, line in enumerate(["This plot could not be drawn:", *textwrap.wrap(why, 70)]):
        figure.text(0.05, 0.85 - 0.09 * number, line, parse_math=False)
    return figure


@contextlib.contextmanager
def _plain() -> Iterator[None]:
    """Disable TeX, and hide warnings about glyphs and layouts, which users cannot fix."""
    with rc_context({"text.usetex": False}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield

"""Literal text in plots: no math mode, escaped control characters, and fallback fonts for missing letters."""

import contextlib
import functools
import unicodedata
from collections.abc import Iterable, Iterator

from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

from common.log import logger

# Largest width of tick labels and legend entries, and of titles, in letters; longer ones are abbreviated in the middle.
_LONGEST_NAME, _LONGEST_TITLE = 40, 200
_ALWAYS_FITS = 10
_NORMAL_WEIGHT = 400
# Control characters, surrogates, and line and paragraph separators.
_NO_LETTERS = ("Cc", "Cs", "Zl", "Zp")
# The fallback font family for each letter that the default font lacks; None if no installed font has it.
_families: dict[str, str | None] = {}


def printable(text: str) -> str:
    r"""Escape control characters, line breaks and non-UTF-8 bytes of a file name, as Python does.

    Example:
        >>> printable("caf\udce9\n"), printable("adiós, 你好")
        ('caf\\xe9\\n', 'adiós, 你好')
    """
    return "".join(_escaped(letter) if unicodedata.category(letter) in _NO_LETTERS else letter for letter in text)


def _escaped(letter: str) -> str:
    # The surrogate escape of Python for an undecodable byte of a file name.
    if "\udc80" <= letter <= "\udcff":
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def shortened(text: str, num_columns: int) -> str:
    """Abbreviate a long text in the middle.

    Args:
        text: One line.
        num_columns: Largest width in Latin letters; a Chinese character counts as two.

    Example:
        >>> shortened("a very long name", 9)
        'a ve…name'
    """
    if _width(text) <= num_columns:
        return text
    half = (num_columns - 1) // 2
    return f"{_first(text, half)}…{_first(text[::-1], half)[::-1]}"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _first(text: str, num_columns: int) -> str:
    # Cut to `num_columns` letters first, since the text may be very long.
    kept = text[:num_columns]
    while _width(kept) > num_columns:
        kept = kept[:-1]
    return kept


def apply(figure: Figure) -> None:
    """Make a finished figure show all texts literally: titles, labels, legends and tick labels.

    Only the figure is changed, not the settings of matplotlib. Numeric tick labels are not changed.
    """
    titles, labels = list(_titles(figure)), list(_labels(figure))
    for text in (title for title, _ in titles):
        text.set_text(shortened(printable(text.get_text()), _LONGEST_TITLE))
    for text in labels:
        text.set_text(shortened(printable(text.get_text()), _LONGEST_NAME))
    for axes in figure.axes:
        labels += [text for axis in (axes.xaxis, axes.yaxis) for text in _tick_labels(axis)]
    texts = [*(title for title, _ in titles), *labels]
    for text in texts:
        text.set_parse_math(False)
    _use_other_fonts(texts)
    for title, inches in titles:
        _fit(title, inches)


def _titles(figure: Figure) -> Iterator[tuple[Text, float]]:
    """Yield the titles and texts of a figure and its axes, with the available width in inches."""
    for text in figure.texts:
        yield text, 0.95 * figure.get_figwidth()
    for axes in figure.axes:
        cell = axes.get_subplotspec()
        # The width of the axes, or an estimate if the layout is not computed yet.
        share = max(axes.get_position().width, 0.8 / cell.get_gridspec().ncols if cell else 0)
        yield from ((text, share * figure.get_figwidth()) for text in (axes.title, *axes.texts))


def _labels(figure: Figure) -> Iterator[Text]:
    for axes in figure.axes:
        yield from (axes.xaxis.label, axes.yaxis.label)
    for legend in (*figure.legends, *(axes.get_legend() for axes in figure.axes)):
        yield from legend.get_texts() if legend else ()


def _fit(title: Text, inches: float) -> None:
    """Abbreviate a title in the middle to fit a width in inches."""
    whole, num_columns = title.get_text(), _width(title.get_text())
    # Measuring is slow, and figures can have thousands of short texts.
    while num_columns > _ALWAYS_FITS:
        wanted = inches * title.figure.dpi / max(title.get_window_extent().width, 1)
        if wanted >= 1:
            break
        num_columns = int(num_columns * wanted)
        title.set_text(shortened(whole, num_columns))


def _tick_labels(axis: Axis) -> list[Text]:
    """Return the shortened tick labels of an axis with names instead of numbers; empty for numbers."""
    named = isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter)
    if not named or not isinstance(axis.get_major_locator(), FixedLocator):
        return []
    axis.get_ticklabels()  # creates the ticks; it does not return those of shared axes
    names = [tick.label1.get_text() for tick in axis.get_major_ticks()]
    # Set the labels on the axis, since ticks take their text from it whenever they are drawn.
    return axis.set_ticklabels([shortened(printable(name), _LONGEST_NAME) for name in names])


def _use_other_fonts(texts: Iterable[Text]) -> None:
    """Add fallback fonts to texts with letters that their font lacks."""
    texts = [text for text in texts if not text.get_text().isascii()]
    lacking = {text: _lacking(text) for text in texts}
    _find_fonts(set().union(*lacking.values()) - _families.keys())
    for text, letters in lacking.items():
        families = dict.fromkeys(_families[letter] for letter in sorted(letters) if _families[letter])
        if families:
            text.set_fontfamily([*text.get_fontfamily(), *families])


def _lacking(text: Text) -> set[str]:
    font = font_manager.get_font(font_manager.findfont(text.get_fontproperties()))
    letters = {letter for letter in text.get_text() if unicodedata.category(letter) != "Cf"}
    return {letter for letter in letters if not font.get_char_index(ord(letter))}


def _find_fonts(letters: set[str]) -> None:
    """Find an installed font for each letter, and warn the first time that there is none."""
    missing = set(letters)
    for entry in _fonts() if missing else ():
        if not missing:
            break
        found = _supported(entry, missing)
        _families.update(dict.fromkeys(found, entry.name))
        missing -= found
    if missing and None not in _families.values():
        logger.warning(
            "no installed font has %s: plots show boxes instead; install a font that has them, "
            "for example of the Noto family",
            ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in sorted(missing)[:5]),
        )
    _families.update(dict.fromkeys(missing))


@functools.cache
def _fonts() -> list[font_manager.FontEntry]:
    """Return the installed fonts, including those newer than the font cache of matplotlib; upright fonts first."""
    manager = font_manager.fontManager
    for path in set(font_manager.findSystemFonts()) - {entry.fname for entry in manager.ttflist}:
        # Some fonts are damaged or not supported by matplotlib.
        with contextlib.suppress(Exception):
            manager.addfont(path)
    return sorted(manager.ttflist, key=_oddness)


def _oddness(entry: font_manager.FontEntry) -> tuple:
    weight = entry.weight if isinstance(entry.weight, int) else _NORMAL_WEIGHT
    return entry.style != "normal", abs(weight - _NORMAL_WEIGHT), entry.name


def _supported(entry: font_manager.FontEntry, letters: set[str]) -> set[str]:
    """Return the letters that a font can draw: none if it is a bitmap font, damaged or missing."""
    # Last-resort fonts draw boxes for all letters.
    if "lastresort" in entry.name.lower().replace(" ", ""):
        return set()
    try:
        font = FT2Font(entry.fname)
        return {letter for letter in letters if font.scalable and font.get_char_index(ord(letter))}
    except Exception:
        return set()

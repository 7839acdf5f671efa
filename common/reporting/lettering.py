"""Text in pictures as it is: no mathematics, no bytes that cannot be drawn, fonts that have its letters."""

import contextlib
import functools
import logging
import unicodedata
from collections.abc import Iterable, Iterator

from matplotlib import font_manager
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

# Letters of a name along an axis or in a legend, and of a title; the middle of a longer one is left out.
_LONGEST_NAME, _LONGEST_TITLE = 40, 200
_ALWAYS_FITS = 10
_NORMAL_WEIGHT = 400
# Control characters, surrogates, and what separates lines and paragraphs.
_NO_LETTERS = ("Cc", "Cs", "Zl", "Zp")
# What each letter is drawn with that the usual font lacks: a family of this machine's fonts, None if none has it.
_families: dict[str, str | None] = {}


def printable(text: str) -> str:
    r"""Write what is no letter as Python would: control characters, line breaks, bytes of a name that is no UTF-8.

    Example:
        >>> printable("caf\udce9\n"), printable("adiós, 你好")
        ('caf\\xe9\\n', 'adiós, 你好')
    """
    return "".join(_escaped(letter) if unicodedata.category(letter) in _NO_LETTERS else letter for letter in text)


def _escaped(letter: str) -> str:
    # So Python keeps a byte of a file's name.
    if "\udc80" <= letter <= "\udcff":
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()


def shortened(text: str, num_columns: int) -> str:
    """Leave out the middle of a text that is too long.

    Args:
        text: One line.
        num_columns: How much is kept, in Latin letters; a Chinese one counts as two.

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
    # Not letter by letter from the whole: what is kept is short, what is given may be long.
    kept = text[:num_columns]
    while _width(kept) > num_columns:
        kept = kept[:-1]
    return kept


def apply(figure: Figure) -> None:
    """Have a finished figure draw every text as it is: titles, labels, legends, names along the axes.

    Only the figure is changed, no setting of matplotlib. Numbers along the axes stay as matplotlib writes them.
    """
    titles, labels = list(_titles(figure)), list(_labels(figure))
    for text in (title for title, _ in titles):
        text.set_text(shortened(printable(text.get_text()), _LONGEST_TITLE))
    for text in labels:
        text.set_text(shortened(printable(text.get_text()), _LONGEST_NAME))
    for axes in figure.axes:
        labels += [text for axis in (axes.xaxis, axes.yaxis) for text in _names_along(axis)]
    texts = [*(title for title, _ in titles), *labels]
    for text in texts:
        text.set_parse_math(False)
    _use_other_fonts(texts)
    for title, inches in titles:
        _fit(title, inches)


def _titles(figure: Figure) -> Iterator[tuple[Text, float]]:
    """Yield what stands above a figure and in or above its axes, with the inches that there are for it."""
    for text in figure.texts:
        yield text, 0.95 * figure.get_figwidth()
    for axes in figure.axes:
        cell = axes.get_subplotspec()
        # As wide as axes are, or will be about when the layout is done.
        share = max(axes.get_position().width, 0.8 / cell.get_gridspec().ncols if cell else 0)
        yield from ((text, share * figure.get_figwidth()) for text in (axes.title, *axes.texts))


def _labels(figure: Figure) -> Iterator[Text]:
    for axes in figure.axes:
        yield from (axes.xaxis.label, axes.yaxis.label)
    for legend in (*figure.legends, *(axes.get_legend() for axes in figure.axes)):
        yield from legend.get_texts() if legend else ()


def _fit(title: Text, inches: float) -> None:
    """Leave out so much of the middle of a title that the rest is no wider than some inches."""
    whole, num_columns = title.get_text(), _width(title.get_text())
    # Measuring takes time, and figures have thousands of short ones.
    while num_columns > _ALWAYS_FITS:
        wanted = inches * title.figure.dpi / max(title.get_window_extent().width, 1)
        if wanted >= 1:
            break
        num_columns = int(num_columns * wanted)
        title.set_text(shortened(whole, num_columns))


def _names_along(axis: Axis) -> list[Text]:
    """Return the names that somebody gave an axis in place of numbers, as they are to be drawn."""
    named = isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter)
    if not named or not isinstance(axis.get_major_locator(), FixedLocator):
        return []
    axis.get_ticklabels()  # makes the ticks; of those that a neighbour shares it returns none
    names = [tick.label1.get_text() for tick in axis.get_major_ticks()]
    # A tick takes its text from the axis anew whenever it is drawn.
    return axis.set_ticklabels([shortened(printable(name), _LONGEST_NAME) for name in names])


def _use_other_fonts(texts: Iterable[Text]) -> None:
    """Give texts that have letters which their font lacks other fonts beside it."""
    texts = [text for text in texts if not text.get_text().isascii()]
    lacking = {text: _lacking(text) for text in texts}
    _look_up(set().union(*lacking.values()) - _families.keys())
    for text, letters in lacking.items():
        families = dict.fromkeys(_families[letter] for letter in sorted(letters) if _families[letter])
        if families:
            text.set_fontfamily([*text.get_fontfamily(), *families])


def _lacking(text: Text) -> set[str]:
    font = font_manager.get_font(font_manager.findfont(text.get_fontproperties()))
    letters = {letter for letter in text.get_text() if unicodedata.category(letter) != "Cf"}
    return {letter for letter in letters if not font.get_char_index(ord(letter))}


def _look_up(letters: set[str]) -> None:
    """Find which of the machine's fonts have some letters, and say it the first time that none has."""
    missing = set(letters)
    for entry in _fonts() if missing else ():
        if not missing:
            break
        found = _had(entry, missing)
        _families.update(dict.fromkeys(found, entry.name))
        missing -= found
    if missing and None not in _families.values():
        logging.warning(
            "no font of this machine has %s: pictures show boxes in their place; install a font that has them, "
            "for example of the Noto family",
            ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in sorted(missing)[:5]),
        )
    _families.update(dict.fromkeys(missing))


@functools.cache
def _fonts() -> list[font_manager.FontEntry]:
    """Return the fonts of this machine, also those that came after matplotlib looked; upright ones first."""
    manager = font_manager.fontManager
    for path in set(font_manager.findSystemFonts()) - {entry.fname for entry in manager.ttflist}:
        # Some are damaged, or of a kind that matplotlib does not know.
        with contextlib.suppress(Exception):
            manager.addfont(path)
    return sorted(manager.ttflist, key=_oddness)


def _oddness(entry: font_manager.FontEntry) -> tuple:
    weight = entry.weight if isinstance(entry.weight, int) else _NORMAL_WEIGHT
    return entry.style != "normal", abs(weight - _NORMAL_WEIGHT), entry.name


def _had(entry: font_manager.FontEntry, letters: set[str]) -> set[str]:
    """Return which of some letters a font can draw: none if it holds pictures of one size, or is damaged or gone."""
    # The fonts of last resort draw boxes for whatever there is.
    if "lastresort" in entry.name.lower().replace(" ", ""):
        return set()
    try:
        font = FT2Font(entry.fname)
        return {letter for letter in letters if font.scalable and font.get_char_index(ord(letter))}
    except Exception:
        return set()
